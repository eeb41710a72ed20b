"""Alice's phone, played by pyactivesync: told line by line what to do, it tells in JSON how that went."""

import json
import sys
from email.message import EmailMessage

import requests
from pyactivesync import Client, StatusError, _http
from pyactivesync.models import FolderType

# SOGo speaks no newer version.
_http._EAS_PROTOCOL_VERSION = "14.1"


class Phone:
    def __init__(self, url, device):
        self.client = Client("", "alice@corp.test", "secret", device_id=device, device_type="iPhone")
        self.client._transport.base_url = url
        # SOGo has no policies to hand out.
        self.client._provisioned = True
        self.inbox = None
        self.key = "0"

    def folders(self):
        folders = self.client.list_folders()
        self.inbox = next(folder.id for folder in folders if folder.type == FolderType.INBOX)
        return sorted(folder.name for folder in folders)

    def sync(self):
        """The subjects of the mails that have come since the last time."""
        subjects = []
        # SOGo says it all after a few answers, and then that there is nothing more.
        for _ in range(10):
            before = self.key
            result = self.client.sync_folder(self.inbox, before)
            self.key = result.sync_key
            subjects += [item.fields["Email.Subject"] for item in result.added]
            if self.key == before:
                return sorted(subjects)
        raise AssertionError("the inbox comes to no end")

    def ping(self):
        """Waits for new mail, and says with which status that ended."""
        return self.client.ping(self.inbox, heartbeat=30, timeout=60).status

    def send(self, subject):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "alice@corp.test", "carl@example.org", subject
        mail.set_content("Sent from a phone.")
        self.client.send_mail(mail)
        return "sent"


phone = Phone(*sys.argv[1:])
for line in sys.stdin:
    name, *arguments = line.split()
    try:
        answer = {"done": getattr(phone, name)(*arguments)}
    except StatusError as error:
        answer = {"status": error.code}
    except requests.HTTPError as error:
        answer = {"http": error.response.status_code}
    print(json.dumps(answer), flush=True)
