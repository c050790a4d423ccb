//! The frame that all pages share: head, style, script, and the parts with the links to them.

use super::markup::{escape, section};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Id, title, note and body of a part of a page; a part without a body is left out.
pub(super) type Part = (&'static str, &'static str, String, String);

/// The links to the parts, and the parts.
pub(super) fn sections(parts: &[Part]) -> String {
    let mut html = String::from("<nav aria-label=\"Sections\">\n<ul>\n");
    for (id, title, _, _) in parts.iter().filter(|(_, _, _, part)| !part.is_empty()) {
        html += &format!("<li><a href=\"#{id}\">{title}</a></li>\n");
    }
    html += "</ul>\n</nav>\n";
    for (id, title, note, part) in parts {
        html += &section(id, title, note, part);
    }
    html
}

/// A whole document around `body`. The policy allows our style and our script by their hashes and nothing else: no
/// request, no other script, no inline style.
pub(super) fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; script-src \
         'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <main id=\"content\">\n{body}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        base64(&Sha256::digest(STYLE.as_bytes())),
        base64(&Sha256::digest(SCRIPT.as_bytes())),
        escape(title),
    )
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
