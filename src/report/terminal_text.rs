//! Text for terminals: plain letters, whole words, colours where they are wanted.

use super::number::{SPACE, decimal};

/// Breaks a sentence at spaces so that no line is longer than `width`, where its words allow.
pub(super) fn wrapped(sentence: &str, width: usize) -> String {
    let mut text = String::new();
    let mut length = 0;
    for word in sentence.split(' ') {
        let size = word.chars().count();
        if length > 0 {
            let broken = length + 1 + size > width;
            text.push(if broken { '\n' } else { ' ' });
            length = if broken { 0 } else { length + 1 };
        }
        text += word;
        length += size;
    }
    text
}

/// ASCII where the page has typography: a terminal's text is copied into other programs.
pub(super) fn plain(text: &str) -> String {
    text.replace(['\u{2212}', '\u{2013}'], "-").replace(&format!("{SPACE}%"), "%").replace(SPACE, " ")
}

/// A number with so many decimals as terminals show it: `-1,234.50`; a dash where there is none.
pub fn fixed(value: f64, decimals: usize) -> String {
    plain(&decimal(value, decimals))
}

/// A number with so many significant digits as terminals show it: `-1,234`, `0.001234`, `2.50e-7`; a dash where there is
/// none.
pub fn readable(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..12).contains(&magnitude) {
        return format!("{value:.*e}", digits.saturating_sub(1));
    }
    fixed(value, (digits as i32 - 1 - magnitude).max(0) as usize)
}

/// At most `length` characters of a name, none of which moves the cursor.
pub(super) fn cut(name: &str, length: usize) -> String {
    let name: String = name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    if name.chars().count() <= length {
        return name;
    }
    name.chars().take(length.saturating_sub(2)).collect::<String>() + ".."
}

/// Text in a colour of the terminal, by its code.
pub(super) fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
