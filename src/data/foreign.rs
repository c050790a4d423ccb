//! Files that are no Parquet, or only a part of one, told by their first and last bytes.

use super::DataError;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// With these four letters a Parquet file begins and ends.
const MAGIC: &[u8] = b"PAR1";

/// The ends, the length of the footer, and nothing else.
const SMALLEST: u64 = 12;

/// So many bytes tell text from other things.
const LOOKED_AT: u64 = 512;

/// Refuses a file that is not Parquet from one end to the other.
///
/// # Errors
/// Outside, a file that cannot be read; inside, what it is and what to do.
pub(super) fn check_kind(path: &Path, mut file: &File, bytes: u64) -> std::io::Result<Result<(), DataError>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(LOOKED_AT).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(bytes.saturating_sub(4)))?;
    file.take(4).read_to_end(&mut tail)?;
    let refuse = |found: &str, remedy: String| Ok(Err(DataError::file(path, found, remedy)));
    if head.starts_with(MAGIC) && tail == MAGIC && bytes >= SMALLEST {
        return Ok(Ok(()));
    }
    if head.starts_with(MAGIC) || MAGIC.starts_with(&head) {
        return refuse("the Parquet file is truncated: it has no footer", "export or copy it again".into());
    }
    let output = path.with_extension("parquet");
    let output = if output == path { path.with_extension("bars.parquet") } else { output };
    let import = format!("candlewick data import {} --output {}", path.display(), output.display());
    if head.starts_with(&[0x1F, 0x8B]) {
        let remedy = "unpack it with gunzip; `candlewick data import` makes Parquet of CSV or JSON lines";
        return refuse("it is a gzip archive, no Parquet file", remedy.into());
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let text = is_text(&head);
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if text && matches!(first, Some(b'{' | b'[')) || matches!(ending.as_str(), "json" | "jsonl" | "ndjson") {
        let remedy = format!("if it has one JSON object a line, convert it with `{import}`");
        return refuse("it is JSON, no Parquet file", remedy);
    }
    if text || matches!(ending.as_str(), "csv" | "tsv" | "txt") {
        return refuse("it is text (CSV?), no Parquet file", format!("convert it with `{import}`"));
    }
    if tail == MAGIC {
        return refuse(
            "the Parquet file is corrupt: its first bytes are wrong",
            "export or copy it again".into(),
        );
    }
    refuse(
        "it is no Parquet file",
        "choose a Parquet file; `candlewick data import` makes one of CSV or JSON lines".into(),
    )
}

/// Whether bytes are UTF-8 without control characters; the last letter may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && bytes.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}
