//! A company with its Countermand, for the doors: Alice's two phones, and what happens to them.

use std::sync::{Arc, Mutex};

use countermand::config::Config;
use countermand::gate::Gate;
use countermand_core::order::Order;

use super::app::{Listening, RESPONDER, TIKTOK, World, operator};
use super::free_port;

pub const WITH_TIKTOK: &str = "DEV7F3A";
pub const CLEAN: &str = "DEV9C1E";

/// A phone of Alice's, under all the names that doors may know it by.
fn row(device: &str, eas: &str, name: &str, apps: &str) -> String {
    let keys = format!("eas:{eas};cred:{name};oauth:{name};cert:{name};cert:CN={name}");
    format!("alice@corp.test,{device},{keys},{apps}")
}

/// Alice's two phones and her company's Countermand.
#[derive(Debug)]
pub struct Company {
    pub world: World,
    pub gate: Arc<Gate>,
    port: u16,
    countermand: Mutex<Option<Listening>>,
    pub runtime: tokio::runtime::Runtime,
}

impl Company {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (world, gate) = runtime.block_on(async {
            let world = World::with(change).await;
            world.people(&["alice@corp.test,,Alice,all-staff,,"]).await;
            world
                .iphones(&[&row("2", CLEAN, "dev-9c1e", "com.example.clock@1")])
                .await;
            let gate = world.gate();
            (world, gate)
        });
        let port = free_port();
        let company = Company {
            port,
            countermand: Mutex::new(Some(Listening::start_at(gate.clone(), port))),
            world,
            gate,
            runtime,
        };
        company.report("com.zhiliaoapp.musically@16.1");
        company
    }

    /// Past the deadline of an order that Alice was told of.
    pub fn enforcing() -> (Self, Order) {
        Self::enforcing_with(|_| {})
    }

    pub fn enforcing_with(change: impl FnOnce(&mut Config)) -> (Self, Order) {
        let company = Self::with(change);
        let order = company.publish();
        company.tell(&order);
        company.go_to("2020-07-11T07:00:00Z");
        (company, order)
    }

    /// Where Countermand listens, or would.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn kill(&self) {
        let countermand = self.countermand.lock().unwrap().take();
        countermand.unwrap().kill();
    }

    pub fn revive(&self) {
        let back = Listening::start_at(self.gate.clone(), self.port);
        *self.countermand.lock().unwrap() = Some(back);
    }

    /// Who was killed comes back as a new process, with nothing in its memory.
    pub fn restart(&mut self) {
        self.gate = self.runtime.block_on(async { self.world.gate() });
        self.revive();
    }

    /// A complete report of the phone that has TikTok, or had it.
    pub fn report(&self, apps: &str) {
        let row = row("1", WITH_TIKTOK, "dev-7f3a", apps);
        self.runtime.block_on(self.world.iphones(&[&row]));
    }

    pub fn publish(&self) -> Order {
        self.runtime.block_on(self.world.publish(TIKTOK))
    }

    pub fn tell(&self, order: &Order) {
        self.runtime
            .block_on(self.world.tell(order, "alice@corp.test"));
    }

    pub fn go_to(&self, at: &str) {
        self.runtime.block_on(self.world.go_to(at));
    }

    pub fn retract(&self, order: &Order) {
        let (responder, id) = (operator(RESPONDER), order.id.to_string());
        let retracted = self.world.app.retract(&responder, &id, "sent in error");
        self.runtime.block_on(retracted).unwrap();
    }

    /// The story at one kind of door. `enter` is let in (`true`) or refused as that door refuses.
    pub fn story(&self, enter: impl Fn(&str) -> bool) -> Order {
        let refused = |device| !enter(device);
        assert!(enter(WITH_TIKTOK) && enter(CLEAN), "no order");
        let order = self.publish();
        self.tell(&order);
        assert!(enter(WITH_TIKTOK) && enter(CLEAN), "until the deadline");
        let doors = self.gate.figures();
        assert!(
            doors.iter().all(|door| door.warned > 0),
            "warned: {doors:?}"
        );
        self.go_to("2020-07-11T07:00:00Z");
        assert!(refused(WITH_TIKTOK) && enter(CLEAN), "past the deadline");
        self.report("com.example.clock@1");
        assert!(enter(WITH_TIKTOK) && enter(CLEAN), "cured");
        self.go_to("2020-07-11T08:00:00Z");
        self.report("com.zhiliaoapp.musically@16.1");
        assert!(refused(WITH_TIKTOK) && enter(CLEAN), "installed again");
        order
    }
}
