//! The ledger of a sweep: what is written is read, what is torn is dropped, what is damaged is told.

use candlewick::rundir::Ledger;
use std::path::Path;

fn facts(path: &Path) -> Result<Vec<String>, String> {
    Ledger::read(path).map_err(|error| error.to_string())
}

fn written(path: &Path, count: usize) -> Vec<String> {
    let (mut ledger, before) = Ledger::open::<String>(path).unwrap();
    assert!(before.is_empty());
    let facts: Vec<String> =
        (0..count).map(|number| format!("fact {number}, \"quoted\"\nwith a line")).collect();
    facts.iter().for_each(|fact| ledger.append(fact).unwrap());
    facts
}

#[test]
fn facts_are_read_as_they_were_written_and_more_can_follow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let mut expected = written(&path, 5);
    let (mut ledger, found) = Ledger::open::<String>(&path).unwrap();
    assert_eq!(found, expected);
    ledger.append(&"later".to_owned()).unwrap();
    expected.push("later".into());
    assert_eq!(facts(&path).unwrap(), expected);
    for line in std::fs::read_to_string(&path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["check"].as_str().unwrap().len(), 16);
    }
}

#[test]
fn wherever_the_last_line_is_torn_the_lines_before_it_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let expected = written(&path, 4);
    let whole = std::fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for length in last..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(facts(&path).unwrap(), expected[..3], "{length} bytes");
        let (mut ledger, found) = Ledger::open::<String>(&path).unwrap();
        assert_eq!(found, expected[..3]);
        ledger.append(&expected[3]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "torn at {length} and written again");
    }
}

#[test]
fn a_line_that_was_changed_removed_or_moved_is_told_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    written(&path, 4);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = text.replace("fact 1", "fact 7");
    let removed = [lines[0], lines[2], lines[3], ""].join("\n");
    let moved = [lines[0], lines[2], lines[1], lines[3], ""].join("\n");
    let blank = [lines[0], "", lines[1], lines[2], lines[3], ""].join("\n");
    for damaged in [changed, removed, moved, blank] {
        std::fs::write(&path, &damaged).unwrap();
        let error = facts(&path).unwrap_err();
        assert!(error.contains("line 2 is not what was written there"), "{error}");
        assert!(Ledger::open::<String>(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged, "a damaged ledger is left alone");
    }
}

#[test]
fn a_fact_of_another_form_is_told_and_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    written(&path, 1);
    let error = Ledger::read::<u32>(&path).unwrap_err().to_string();
    assert!(error.contains("a fact that this version does not know"), "{error}");
}
