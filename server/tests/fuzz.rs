//! Every parser of what comes from outside, against the corpora in `fuzz/corpus`: each file there once made a
//! parser panic, or shows it something of its own kind. With `COUNTERMAND_FUZZ=SECONDS` each target is also
//! mutated for so long (`just fuzz`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use std::path::PathBuf;
use std::time::Duration;

fn folder(target: &str) -> PathBuf {
    let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    PathBuf::from(corpora).join(target)
}

/// One test a target, so that they run side by side and a failure names it.
macro_rules! replay {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            play(stringify!($name));
        }
    )*

        #[test]
        fn every_target_is_played_and_has_a_corpus_and_no_corpus_is_left_over() {
            let played = [$(stringify!($name)),*];
            let targets: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(played.as_slice(), targets);
            let mut corpora: Vec<String> = std::fs::read_dir(folder(""))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            corpora.sort();
            assert_eq!(corpora, targets);
        }
    };
}

replay! {
    basic batch bounce catalogue channel config doveadm dovecot eas headers import_amapi import_apple_mdm import_csv
    import_people lmtp nginx_mail order postfix smtp token view
    view_file wbxml words
}

fn play(name: &str) {
    let target = *targets::TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let folder = folder(name);
    let corpus = mutate::corpus(&folder);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (file, bytes) in corpus {
        // The panic's own words come before.
        let done = std::panic::catch_unwind(|| target.1(&bytes));
        assert!(done.is_ok(), "{} makes it panic", file.display());
    }
    let Ok(seconds) = std::env::var("COUNTERMAND_FUZZ") else {
        return;
    };
    let seconds = seconds
        .parse()
        .expect("COUNTERMAND_FUZZ is a number of seconds");
    let seed = std::env::var("COUNTERMAND_SEED").map_or(1, |seed| seed.parse().unwrap());
    let found = mutate::fuzz(target, &folder, Duration::from_secs(seconds), seed);
    assert!(found.is_empty(), "found, and kept: {found:?}");
}
