//! ActiveSync and web mail behind each proxy that has a configuration in deploy/: the real programs, under TLS,
//! before the real gate and before gates that are gone, silent or somebody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "doors_proxies/gone.rs"]
mod gone;
#[path = "doors_proxies/house.rs"]
mod house;
#[path = "doors_proxies/phone.rs"]
mod phone;
#[path = "doors_proxies/story.rs"]
mod story;
#[path = "doors_proxies/strangers.rs"]
mod strangers;
#[path = "doors_proxies/trouble.rs"]
mod trouble;
