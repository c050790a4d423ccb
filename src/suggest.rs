//! Ground: "did you mean", for names that people type.

/// The known name that is nearest to what was written: equal but for case, one the beginning of the other, or at most a
/// third of its letters (at least one) inserted, deleted, replaced or swapped with the neighbour (optimal string
/// alignment distance; Boytsov 2011). Of equally near names the first.
pub fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let other = name.to_lowercase();
        let beginning =
            wanted.len().min(other.len()) >= 3 && (other.starts_with(&wanted) || wanted.starts_with(&other));
        let distance = if beginning { 1 } else { distance(&wanted, &other) };
        let distance = if wanted == other { 0 } else { distance };
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// What follows "there is no model" where a name is not among the known ones:
/// "`rigde` (did you mean `ridge`?); there are lstm, ridge".
pub fn unknown(wanted: &str, known: &[&str]) -> String {
    let near = closest(wanted, known.iter().copied());
    let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    match known {
        [] => format!("`{wanted}`; there is none"),
        [one] => format!("`{wanted}`{near}; there is {one}"),
        several => format!("`{wanted}`{near}; there are {}", several.join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut table = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = table[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
                let through_swap = if swapped { table[i - 2][j - 2] + 1 } else { usize::MAX };
                replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1).min(through_swap)
            };
        }
    }
    table[left.len()][right.len()]
}
