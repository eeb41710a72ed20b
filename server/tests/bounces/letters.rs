//! Mails in the shapes in which mail servers write them, made by us.

use countermand_core::id::OrderId;

macro_rules! letters {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub const $name: &str = include_str!(concat!("mails/", $file));)+
        pub const ALL: &[&str] = &[$($name),+];
    };
}

letters!(
    POSTFIX = "postfix_failed.eml",
    POSTFIX_DELAYED = "postfix_delayed.eml",
    POSTFIX_EXPIRED = "postfix_expired.eml",
    POSTFIX_RELAYED = "postfix_relayed.eml",
    EXIM = "exim_failed.eml",
    EXIM_OLD = "exim_old_failed.eml",
    EXCHANGE = "exchange_online_failed.eml",
    GMAIL = "gmail_failed.eml",
    VACATION = "vacation.eml",
    PERSON = "person.eml",
);

/// What stands in the blanks.
#[derive(Clone, Debug)]
pub struct Blanks {
    pub to: String,
    pub bounce: String,
    pub message_id: String,
    pub order: OrderId,
    /// Empty: the header is not returned.
    pub mark: String,
}

impl Blanks {
    pub fn fill(&self, letter: &str) -> Vec<u8> {
        let mut text = letter
            .replace("{TO}", &self.to)
            .replace("{BOUNCE}", &self.bounce)
            .replace("{MESSAGE_ID}", &self.message_id)
            .replace("{ORDER}", &self.order.to_string());
        if self.mark.is_empty() {
            text = text
                .replace("X-Countermand-Receipt: {MARK}\n", "")
                .replace("X-Countermand-Receipt:\n {MARK}\n", "");
        }
        text.replace("{MARK}", &self.mark)
            .replace('\n', "\r\n")
            .into_bytes()
    }
}
