//! Text for terminals: plain letters, whole words, colours where they are wanted.

use super::number::SPACE;

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
