//! The house that every test asks: its people, their devices, its gate, and how to ask it.

use std::sync::Arc;

use countermand::gate::Gate;
use countermand_core::id::PersonId;
use countermand_core::order::Order;

use crate::support::app::{Listening, SECRET, TIKTOK, World};
use crate::support::http::{Reply, send};

/// alice@corp.test and bob@corp.test with some password.
pub const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");
pub const BOB: (&str, &str) = ("Authorization", "Basic Ym9iQGNvcnAudGVzdDpzZWNyZXQ=");
pub const SIGNED_IN: (&str, &str) = ("X-Remote-User", "alice@corp.test");
pub const AFTER: &str = "2020-07-11T07:00:00Z";
pub const REFUSING: &str = "dev-7f3a";

/// Alice has two iPhones, one of them with TikTok; Bob has a clean one; Carol is no staff.
pub struct House {
    pub world: World,
    pub gate: Arc<Gate>,
    pub door: Listening,
}

impl House {
    pub async fn new() -> Self {
        Self::of(World::new().await).await
    }

    pub async fn of(world: World) -> Self {
        world
            .people(&[
                "alice@corp.test,al@corp.test,Alice,all-staff,,",
                "bob@corp.test,,Bob,all-staff,,",
                "carol@corp.test,,Carol,board,,",
            ])
            .await;
        world
            .iphones(&[
                "alice@corp.test,1,eas:DEV7F3A;cert:0A1B;cred:dev-7f3a,com.zhiliaoapp.musically@16.1",
                "alice@corp.test,2,eas:DEV9C1E;cred:dev-9c1e,com.example.clock@1",
                "bob@corp.test,3,eas:DEVB0B;cred:dev-b0b,com.example.clock@1",
            ])
            .await;
        let gate = world.gate();
        let door = Listening::start(gate.clone());
        House { world, gate, door }
    }

    /// The same past the deadline of an order that everyone was told of.
    pub async fn enforcing() -> (Self, Order) {
        let house = Self::new().await;
        let order = house.world.publish(TIKTOK).await;
        for person in ["alice@corp.test", "bob@corp.test"] {
            house.world.tell(&order, person).await;
        }
        house.world.go_to(AFTER).await;
        (house, order)
    }

    /// One request with the secret.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let secret = [("X-Countermand-Secret", SECRET)];
        let headers: Vec<_> = secret.iter().chain(headers).copied().collect();
        bare(self.door.port, method, path, &headers, body).await
    }

    pub async fn http(&self, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", "/gate/http", headers, "").await
    }

    /// What nginx asks for a phone of Alice.
    pub async fn sync(&self, device: &str) -> Reply {
        self.http(&[("X-Original-URI", &uri(device)), ALICE]).await
    }

    pub async fn dovecot(&self, body: &str) -> serde_json::Value {
        let path = "/gate/dovecot?command=allow";
        let reply = self.send("POST", path, &[], body).await;
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    pub fn person(&self, address: &str) -> PersonId {
        let view = self.world.app.live.view();
        view.person_called(address).unwrap().id
    }

    pub async fn recorded(&self, reference: &str) -> Vec<countermand::store::StoredRefusal> {
        let found = self.world.app.store.refusals_called(reference).await;
        found.unwrap()
    }
}

/// One request, on a thread where it may block.
pub async fn bare(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let own = |text: &str| text.to_owned();
    let (method, path, body) = (own(method), own(path), own(body));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (own(n), own(v))).collect();
    tokio::task::spawn_blocking(move || {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        send(port, &method, &path, &headers, body.as_bytes())
    })
    .await
    .unwrap()
}

pub fn uri(device: &str) -> String {
    format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40corp.test&DeviceId={device}&DeviceType=iPhone"
    )
}

pub fn login(person: &str, device: &str) -> String {
    format!(r#"{{"user":"{person}","protocol":"imap","passdb_device":"{device}"}}"#)
}

pub fn told(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("x-countermand-decision"))
}
