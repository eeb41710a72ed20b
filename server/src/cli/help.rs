//! The list of commands, in groups: what belongs together stands together.

use clap::{Command, CommandFactory};

use super::Cli;

/// Every command, once.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    (
        "Set up",
        &["init", "operator", "people", "import", "catalogue"],
    ),
    (
        "Order an app away, and take it back",
        &["order", "notices", "exempt", "attest", "device"],
    ),
    ("Ask", &["decide", "explain", "audit"]),
    (
        "Run",
        &["serve", "doctor", "mode", "doors", "backup", "restore"],
    ),
    ("More", &["demo", "completions", "help"]),
];

pub(super) fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\nOptions:\n{{options}}{{after-help}}",
        list(&command)
    );
    command.help_template(template)
}

fn list(command: &Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        text += &format!("{title}:\n");
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            text += &format!("  {name:<12} {about}\n");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Command, see: &mut impl FnMut(&Command)) {
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            see(sub);
            each(sub, see);
        }
    }

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_its_place_in_the_list() {
        let command = command();
        let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        let mut listed: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, known);
    }

    #[test]
    fn every_command_and_argument_is_explained_and_has_an_example() {
        let mut seen = 0;
        each(&Cli::command(), &mut |command| {
            seen += 1;
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says nothing");
            let example = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                example.starts_with("Example: countermand "),
                "{name} has no example"
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{name} {} says nothing",
                    argument.get_id()
                );
            }
        });
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn every_example_is_right() {
        each(&Cli::command(), &mut |command| {
            let examples = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for example in examples.lines() {
                let words = words(example.trim_start_matches("Example:").trim());
                let read = super::super::parse(words.iter().map(Into::into));
                assert!(read.is_ok(), "{example}: {read:?}");
            }
        });
    }

    /// As a shell splits them; only double quotes occur.
    fn words(line: &str) -> Vec<String> {
        let outside = |(i, part): (usize, &str)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        };
        let line = line.split(" > ").next().unwrap_or(line);
        line.split('"').enumerate().flat_map(outside).collect()
    }
}
