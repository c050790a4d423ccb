//! Pieces of HTML: escaping, sections, tables that scroll.

/// Text made safe between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            _ => safe.push(character),
        }
    }
    safe
}

/// A name made safe, which may be broken after brackets and commas: `sma[fast=10,slow=60]`.
pub(super) fn breakable(name: &str) -> String {
    escape(name).replace('[', "[<wbr>").replace(',', ",<wbr>")
}

/// JSON made safe inside a `<script>` element: nothing in it can close the element or open a comment.
pub(super) fn escape_json(json: &str) -> String {
    json.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// A titled part of the page; nothing where `body` is empty. `note` is HTML, one or two sentences.
pub(super) fn section(id: &str, title: &str, note: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let note = if note.is_empty() { String::new() } else { format!("<p class=\"note\">{note}</p>\n") };
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{note}{body}</section>\n"
    )
}

/// A table inside a region that scrolls sideways on narrow screens and can be reached by keyboard.
pub(super) fn scrolling(label: &str, table: &str) -> String {
    format!(
        "<div class=\"scroller\"><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n{table}</div></div>\n",
        escape(label)
    )
}

/// A name after the square of its row's colour; the two stay on one line however long the name is.
pub(super) fn keyed(name: &str) -> String {
    format!("<span class=\"keyed\"><span class=\"key\"></span><span>{name}</span></span>")
}

/// A heading of a column of numbers.
pub(super) fn number_heading(text: &str) -> String {
    format!("<th scope=\"col\" class=\"n\">{text}</th>")
}

/// A cell of a column of numbers.
pub(super) fn number_cell(text: &str) -> String {
    format!("<td class=\"n\">{text}</td>")
}

/// A folded part with its title.
pub(super) fn folded(title: &str, body: &str) -> String {
    format!("<details>\n<summary>{title}</summary>\n{body}</details>\n")
}

/// What people must know before they trust the numbers, each line HTML; nothing where there are none.
pub(super) fn warning_list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{line}</li>\n")).collect();
    format!(
        "<aside class=\"warnings\" aria-label=\"Warnings\">\n<h2>Before you trust the numbers</h2>\n<ul>\n{items}</ul>\n</aside>\n"
    )
}

/// A checksum, which may be broken anywhere.
pub(super) fn fingerprint(sha256: &str) -> String {
    format!("<code class=\"hash\">{}</code>", escape(sha256))
}

/// An argument as a POSIX shell reads it back.
pub(super) fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:=@%,".contains(character);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', "'\\''"))
    }
}

/// A line for a shell with a button that copies it.
pub(super) fn command(line: &str) -> String {
    format!(
        "<div class=\"command\"><pre tabindex=\"0\">{}</pre><button type=\"button\" class=\"copy\">Copy</button></div>\n",
        escape(line)
    )
}
