//! Where a command works, and as whom.

use std::path::PathBuf;
use std::sync::Arc;

use countermand_core::actor::{Act, Actor};
use countermand_core::fleet::fold;

use super::{Failure, Global, Printer, Result};
use crate::app::App;
use crate::clock::{Clock, Ids};
use crate::config::{self, Config};
use crate::store::sqlite_file;

/// Where time and ids come from.
#[derive(Clone, Debug)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

/// The global options, with all that follows from them.
#[derive(Clone, Debug)]
pub struct Place {
    pub data: PathBuf,
    pub database: Option<String>,
    pub world: World,
    pub print: Printer,
    config: Option<PathBuf>,
    operator: Option<String>,
}

/// An open installation, and who acts there.
#[derive(Debug)]
pub struct Open {
    pub app: App,
    pub actor: Actor,
}

impl Place {
    pub fn new(global: Global, world: World) -> Place {
        Place {
            data: global.data,
            database: global.database,
            world,
            print: Printer::new(global.json),
            config: global.config,
            operator: global.operator,
        }
    }

    /// The config file that is, or is to be.
    pub fn config_file(&self) -> PathBuf {
        self.config
            .clone()
            .unwrap_or_else(|| self.data.join(config::FILE))
    }

    /// The config as file, environment and command line make it.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::load(&self.data, self.config.as_deref(), std::env::vars())?;
        if let Some(url) = &self.database {
            config.database.url.clone_from(url);
        }
        Ok(config)
    }

    /// Opens what `init` has made. A database that is missing is never made in passing: an empty
    /// one answers «allow» to everything.
    pub async fn open(&self) -> Result<Open> {
        let config = self.config()?;
        if let Some(why) = self.nothing_here(&config) {
            return Err(Failure::usage(why));
        }
        let actor = self.actor(&config)?;
        let app = self.app(config).await?;
        Ok(Open { app, actor })
    }

    /// Says so where there is no database and no server to ask for one.
    pub fn nothing_here(&self, config: &Config) -> Option<String> {
        let file = sqlite_file(&config.database.url, &self.data)?;
        (!file.exists()).then(|| {
            format!(
                "there is nothing in {} yet; `{}` makes it",
                self.data.display(),
                self.command("init")
            )
        })
    }

    /// Opens the database, and makes it where it is missing. Nobody is an operator yet, so whoever
    /// has the machine acts.
    pub async fn make(&self, config: Config) -> Result<Open> {
        let actor = Actor::Local(os_user());
        let app = self.app(config).await?;
        Ok(Open { app, actor })
    }

    async fn app(&self, config: Config) -> Result<App> {
        let World { clock, ids } = self.world.clone();
        Ok(App::open(config, &self.data, clock, ids).await?)
    }

    fn actor(&self, config: &Config) -> Result<Actor> {
        match &self.operator {
            None => Ok(Actor::Local(os_user())),
            Some(email) if config.server.trust_shell => Ok(Actor::Shell {
                operator: fold(email),
                user: os_user(),
            }),
            Some(_) => Err(Failure::policy(format!(
                "--as is not believed here: [server] trust_shell is not true in {}; set it, or act in the console",
                self.config_file().display()
            ))),
        }
    }

    /// A command line to type next, in this place.
    pub fn command(&self, rest: &str) -> String {
        let mut line = "countermand".to_owned();
        if self.data != std::path::Path::new("./countermand-data") {
            line += &format!(" --data {}", quoted(&self.data.display().to_string()));
        }
        if let Some(file) = &self.config {
            line += &format!(" --config {}", quoted(&file.display().to_string()));
        }
        // A URL may hold a password, which must not end in a terminal's scrollback.
        if let Some(url) = self.database.as_ref().filter(|u| u.starts_with("sqlite:")) {
            line += &format!(" --database {}", quoted(url));
        }
        format!("{line} {rest}")
    }
}

impl Open {
    /// For what has no use case of its own.
    pub async fn authorise(&self, act: Act) -> Result<()> {
        Ok(self.app.authorise(&self.actor, act).await?)
    }
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The name by which the operating system knows who types.
fn os_user() -> String {
    let of_variable = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
    of_variable("USER")
        .or_else(|| of_variable("LOGNAME"))
        .or_else(of_id)
        .unwrap_or_else(|| "somebody".to_owned())
}

fn of_id() -> Option<String> {
    let done = std::process::Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    Some(name).filter(|name| !name.is_empty())
}
