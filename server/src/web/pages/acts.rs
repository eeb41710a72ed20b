//! What an operator may do with an order now, and under which path.

/// One button of an order's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Edit,
    Submit,
    Withdraw,
    /// To the preview, where approval and sending back stand beside what they bind to.
    Review,
    Publish,
    Hold,
    Resume,
    Extend,
    Retract,
}

impl Act {
    /// Three dots where a page comes first that says what will happen.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Edit => "Edit",
            Self::Submit => "Submit for review",
            Self::Withdraw => "Withdraw",
            Self::Review => "Review…",
            Self::Publish => "Publish…",
            Self::Hold => "Hold…",
            Self::Resume => "Resume…",
            Self::Extend => "Extend…",
            Self::Retract => "Retract…",
        }
    }

    pub fn class(&self) -> &'static str {
        match self {
            Self::Submit | Self::Review | Self::Publish | Self::Resume => "button main",
            Self::Retract => "button back",
            Self::Edit | Self::Withdraw | Self::Hold | Self::Extend => "button",
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Submit => "submit",
            Self::Withdraw => "withdraw",
            Self::Review => "preview",
            Self::Publish => "publish",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Extend => "extend",
            Self::Retract => "retract",
        }
    }

    pub fn path(&self, order: &str) -> String {
        format!("/orders/{order}/{}", self.word())
    }

    /// Done by the button itself; all others lead to a page first.
    pub fn at_once(&self) -> bool {
        matches!(self, Self::Submit | Self::Withdraw)
    }
}

/// The stored states of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    Draft,
    InReview,
    Approved,
    Published,
    /// Published, and its notices stopped by themselves.
    Stopped,
    Held,
    /// Retracted, superseded or expired.
    Over,
}

/// The acts that fit a situation and the operator's roles. Only what to offer: each use case
/// judges again, and it also knows who wrote the revision.
pub fn fitting(situation: Situation, author: bool, approver: bool, responder: bool) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut offer = |may: bool, act: Act| {
        if may {
            acts.push(act);
        }
    };
    match situation {
        Situation::Draft => {
            offer(author, Act::Edit);
            offer(author, Act::Submit);
        }
        Situation::InReview => {
            offer(author, Act::Withdraw);
            offer(approver, Act::Review);
        }
        Situation::Approved => {
            offer(author, Act::Withdraw);
            offer(author || approver, Act::Publish);
        }
        Situation::Published => {
            offer(responder, Act::Extend);
            offer(responder, Act::Hold);
            offer(responder, Act::Retract);
        }
        Situation::Stopped => {
            offer(responder, Act::Extend);
            offer(responder, Act::Hold);
            offer(responder, Act::Resume);
            offer(responder, Act::Retract);
        }
        Situation::Held => {
            offer(responder, Act::Extend);
            offer(responder, Act::Resume);
            offer(responder, Act::Retract);
        }
        Situation::Over => {}
    }
    acts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_responder_can_always_take_back_what_is_published() {
        for situation in [Situation::Published, Situation::Stopped, Situation::Held] {
            assert!(fitting(situation, false, false, true).contains(&Act::Retract));
            assert!(fitting(situation, true, true, false).is_empty());
        }
    }

    #[test]
    fn an_order_that_is_over_offers_nothing() {
        assert!(fitting(Situation::Over, true, true, true).is_empty());
    }
}
