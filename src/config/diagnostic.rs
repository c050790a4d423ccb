//! One mistake in a configuration, and how it is shown: message, file, line, caret.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A range of bytes in one of the texts that a load reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Number of the text: 0 is the file, then each `--set` in order.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// A text that was read, under the name people know it by.
#[derive(Clone, Debug)]
pub struct Source {
    /// A path, or `--set #1`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What is wrong, with what was found.
    pub message: String,
    /// Where.
    pub origin: Origin,
    /// What stands under the caret: what to write instead.
    pub label: String,
}

impl Diagnostic {
    /// A mistake without a hint.
    pub fn new(message: impl Into<String>, origin: Origin) -> Diagnostic {
        Diagnostic { message: message.into(), origin, label: String::new() }
    }

    /// The same with a hint under the caret.
    #[must_use]
    pub fn hint(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    fn render(&self, sources: &[Source], renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let Some(source) = sources.get(self.origin.source) else {
            return renderer.render(&[title.elements(std::iter::empty::<annotate_snippets::Padding>())]);
        };
        let (first_line, text, span) = around(&source.text, self.origin);
        let mut annotation = AnnotationKind::Primary.span(span);
        if !self.label.is_empty() {
            annotation = annotation.label(self.label.as_str());
        }
        let snippet =
            Snippet::source(text).line_start(first_line).path(source.name.as_str()).annotation(annotation);
        renderer.render(&[title.element(snippet)])
    }
}

/// The line of the mistake alone, cut where it is longer than a screen: a hostile file must not flood the terminal.
fn around(text: &str, origin: Origin) -> (usize, String, std::ops::Range<usize>) {
    const WIDEST: usize = 200;
    let start = floor_boundary(text, origin.start.min(text.len()));
    let line_start = text[..start].rfind('\n').map_or(0, |position| position + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |position| start + position);
    let from =
        if start - line_start > WIDEST { floor_boundary(text, start - WIDEST / 2) } else { line_start };
    let to = floor_boundary(text, line_end.min(from + WIDEST));
    let end = floor_boundary(text, origin.end.clamp(start, to.max(start)));
    let line = text[..line_start].matches('\n').count() + 1;
    (line, text[from..to].to_owned(), start - from..end - from)
}

fn floor_boundary(text: &str, mut position: usize) -> usize {
    while !text.is_char_boundary(position) {
        position -= 1;
    }
    position
}

/// Every mistake of one load.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// The texts that the mistakes point into.
    pub sources: Vec<Source>,
    /// The mistakes, in the order in which they stand.
    pub diagnostics: Vec<Diagnostic>,
}

impl ConfigError {
    /// All mistakes for people; `colour` for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut shown: Vec<String> =
            self.diagnostics.iter().map(|diagnostic| diagnostic.render(&self.sources, &renderer)).collect();
        let name = self.sources.first().map_or("the configuration", |source| source.name.as_str());
        let count = self.diagnostics.len();
        shown.push(format!("{count} {} in {name}", if count == 1 { "error" } else { "errors" }));
        shown.join("\n")
    }

    /// `line:column` of each mistake with its message, for programs.
    pub fn to_json(&self) -> serde_json::Value {
        self.diagnostics
            .iter()
            .map(|diagnostic| {
                let source = self.sources.get(diagnostic.origin.source);
                let text = source.map_or("", |source| source.text.as_str());
                let start = floor_boundary(text, diagnostic.origin.start.min(text.len()));
                let line_start = text[..start].rfind('\n').map_or(0, |position| position + 1);
                serde_json::json!({
                    "source": source.map_or("", |source| source.name.as_str()),
                    "line": text[..start].matches('\n').count() + 1,
                    "column": text[line_start..start].chars().count() + 1,
                    "message": diagnostic.message,
                    "hint": diagnostic.label,
                })
            })
            .collect()
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}
