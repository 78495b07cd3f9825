//! That what docs/doors/proof.md calls proved is: the tests that it names are there, and nothing that has to be in it
//! is missing.

use super::*;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// How many things are easily got wrong about each protocol.
const POINTS: usize = 10;

/// A place in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The names of the tests in a folder and all that are in it.
fn tests_in(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(tests_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(path).unwrap()));
        }
    }
    names
}

/// Those of a source: the functions behind the attribute that makes them tests.
fn tests_of(source: &str) -> impl Iterator<Item = String> {
    let marks = ["#[test]", "#[tokio::test"].map(|mark| source.split(mark).skip(1));
    marks.into_iter().flatten().filter_map(|rest| {
        let (_, named) = rest.split_once("fn ")?;
        Some(named.split_once('(')?.0.to_owned())
    })
}

/// What a text has between back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What in a text can be the name of a test.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |text: &&str| {
        text.contains('_')
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    quoted(text).filter(is_name)
}

#[test]
fn what_is_called_proved_has_its_tests() {
    let proof = fs::read_to_string(repository("docs/doors/proof.md")).unwrap();
    let mut there = tests_in(&repository("crates/doors/src"));
    there.extend(tests_in(&repository("tests")));
    let missing: Vec<_> = named(&proof).filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "there are no tests {missing:?}");

    for door in Door::ALL {
        let title = format!("\n## {door}\n");
        let (_, section) = proof.split_once(&title).unwrap_or_else(|| panic!("no {door}"));
        let section = section.split("\n## ").next().unwrap();
        let (routes, _) = routes(door);
        for (method, path, _) in routes {
            let route = format!("{method} {path}");
            assert!(quoted(section).any(|quoted| quoted == route), "{door}: {route} has no row");
        }
        for point in 1..=POINTS {
            let begins = format!("point_{point}_");
            assert!(named(section).any(|name| name.starts_with(&begins)), "{door}: no {begins}");
        }
        // And the other way round.
        let of_it = tests_in(&repository(&format!("crates/doors/src/{door}")));
        let points = of_it.iter().filter(|name| name.starts_with("point_"));
        let missing: Vec<_> =
            points.filter(|point| !named(section).any(|name| name == *point)).collect();
        assert!(missing.is_empty(), "{door} is silent about {missing:?}");
    }
}
