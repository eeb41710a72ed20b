//! Every route in one table: the router is made from it, and a test walks it (invariant 34).

use std::sync::Arc;

use axum::routing::{MethodRouter, get, post};

use super::{Web, account, assets, console, events, health, statement};
use console::{
    audit, devices, doors, letter, mailbox, notices, order, orders, preview, respond, review, write,
};

/// Whom a route serves, and whether it changes anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anyone may read it.
    Public,
    /// Begins a session; carries a token of its own against forged forms.
    Entry,
    /// Ends or uses a session, and changes nothing that the record keeps.
    Session,
    /// Whoever got a notice changes something: the notice's token, use case, record.
    Notice,
    /// An operator reads.
    Reads,
    /// An operator changes something: session, token, use case, record.
    Changes,
    /// Like `Reads`, and does not end.
    Stream,
}

/// One method of one path.
#[derive(Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub kind: Kind,
    pub(super) serve: fn() -> MethodRouter<Arc<Web>>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.kind)
    }
}

macro_rules! routes {
    ($($kind:ident $method:ident $path:literal => $handler:expr;)+) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            kind: Kind::$kind,
            serve: || $method($handler),
        }),+]
    };
}

pub const TABLE: &[Route] = routes! {
    Public get "/healthz" => health::alive;
    Public get "/readyz" => health::ready;
    Public get "/assets/{name}" => assets::serve;
    Public get "/o/{name}" => statement::show;
    Notice post "/o/{name}/looks-wrong" => statement::looks_wrong;
    Notice post "/o/{name}/recognise" => statement::recognise;
    Public get "/statements.atom" => statement::feed;

    Public get "/sign-in" => account::sign_in_page;
    Entry post "/sign-in" => account::sign_in;
    Entry post "/sign-in/demo" => account::sign_in_demo;
    Public get "/set-up" => account::set_up_page;
    Entry post "/set-up" => account::set_up;
    Session post "/sign-out" => account::sign_out;

    Stream get "/events" => events::events;

    Reads get "/" => orders::list;
    Reads get "/orders/new" => write::new_page;
    Changes post "/orders/new" => write::new;
    Reads get "/orders/{id}" => order::show;
    Reads get "/orders/{id}/edit" => write::edit_page;
    Changes post "/orders/{id}/edit" => write::edit;
    Reads get "/orders/{id}/preview" => preview::show;
    Reads get "/orders/{id}/letter" => letter::show;
    Changes post "/orders/{id}/test" => letter::test;
    Reads get "/orders/{id}/notices" => notices::show;
    Changes post "/orders/{id}/submit" => review::submit;
    Changes post "/orders/{id}/withdraw" => review::withdraw;
    Changes post "/orders/{id}/approve" => review::approve;
    Changes post "/orders/{id}/send-back" => review::send_back;
    Reads get "/orders/{id}/publish" => review::publish_page;
    Changes post "/orders/{id}/publish" => review::publish;
    Reads get "/orders/{id}/hold" => respond::hold_page;
    Changes post "/orders/{id}/hold" => respond::hold;
    Reads get "/orders/{id}/resume" => respond::resume_page;
    Changes post "/orders/{id}/resume" => respond::resume;
    Reads get "/orders/{id}/extend" => respond::extend_page;
    Changes post "/orders/{id}/extend" => respond::extend;
    Reads get "/orders/{id}/retract" => respond::retract_page;
    Changes post "/orders/{id}/retract" => respond::retract;

    Changes post "/orders/{id}/cause" => respond::cause;

    Reads get "/mailbox" => mailbox::list;
    Reads get "/mailbox/{id}" => mailbox::show;
    Reads get "/doors" => doors::show;
    Changes post "/doors/open" => doors::open;
    Changes post "/doors/close" => doors::close;
    Changes post "/doors/mode" => doors::mode;
    Reads get "/devices" => devices::show;
    Changes post "/devices/recognise" => devices::recognise;
    Changes post "/devices/forget" => devices::forget;
    Reads get "/audit" => audit::show;
};
