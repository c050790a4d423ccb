//! TensorBoard's event files, byte by byte: records of TFRecord with masked CRC-32C, each an `Event` in the wire format of
//! Protocol Buffers.
//!
//! Sources: `tensorflow/core/util/event.proto`, `tensorflow/core/framework/{summary,tensor}.proto`,
//! `tensorflow/core/lib/io/record_writer.h` and `tensorboard/plugins/hparams/{api,plugin_data}.proto`. A handful of fields is
//! all that is needed, so they are written here rather than generated.

use crate::protobuf::Message;

/// What a program of hyperparameters knows a setting as.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Setting {
    Number(f64),
    Truth(bool),
    Text(String),
}

/// How a session of the hyperparameter plugin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Success = 1,
    Failure = 2,
}

/// One event file in the making; every event has the same wall time.
pub(super) struct EventFile {
    bytes: Vec<u8>,
    /// Seconds since 1970.
    wall_time: f64,
}

/// `DT_STRING` of `tensorflow/core/framework/types.proto`.
const TEXT_TENSOR: u64 = 7;

/// `DATA_CLASS_TENSOR` of `summary.proto`.
const TENSORS: u64 = 2;

impl EventFile {
    /// A file with its version record.
    pub(super) fn new(wall_time: f64) -> EventFile {
        let mut file = EventFile { bytes: Vec::new(), wall_time };
        file.event(0, |event| event.bytes(3, b"brain.Event:2"));
        file
    }

    /// A point of the curve `tag`. TensorBoard keeps 32-bit numbers.
    pub(super) fn scalar(&mut self, tag: &str, step: i64, value: f64) {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.float(2, value as f32);
        self.summary(step, &entry);
    }

    /// A text, shown as Markdown.
    pub(super) fn text(&mut self, tag: &str, text: &str) {
        let mut tensor = Message::default();
        tensor.varint(1, TEXT_TENSOR);
        // A shape without dimensions: one text.
        tensor.bytes(2, &[]);
        tensor.bytes(8, text.as_bytes());
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        entry.message(8, &tensor);
        let mut metadata = plugin("text", &Message::default());
        metadata.varint(4, TENSORS);
        entry.message(9, &metadata);
        self.summary(0, &entry);
    }

    /// The settings of a session, and how it ended: a row in the table of hyperparameters.
    pub(super) fn session(&mut self, group: &str, settings: &[(String, Setting)], ending: Ending) {
        let mut start = Message::default();
        for (name, setting) in settings {
            let mut value = Message::default();
            match setting {
                Setting::Number(number) => value.double(2, *number),
                Setting::Text(text) => value.bytes(3, text.as_bytes()),
                Setting::Truth(truth) => value.varint(4, u64::from(*truth)),
            }
            let mut entry = Message::default();
            entry.bytes(1, name.as_bytes());
            entry.message(2, &value);
            start.message(1, &entry);
        }
        start.bytes(4, group.as_bytes());
        start.double(5, self.wall_time);
        let mut end = Message::default();
        end.varint(1, ending as u64);
        end.double(2, self.wall_time);
        for (tag, field, content) in
            [("_hparams_/session_start_info", 3, &start), ("_hparams_/session_end_info", 4, &end)]
        {
            let mut data = Message::default();
            data.message(field, content);
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.message(9, &plugin("hparams", &data));
            self.summary(0, &entry);
        }
    }

    /// The file.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn summary(&mut self, step: i64, entry: &Message) {
        let mut summary = Message::default();
        summary.message(1, entry);
        self.event(step, |event| event.message(5, &summary));
    }

    fn event(&mut self, step: i64, fill: impl FnOnce(&mut Message)) {
        let mut event = Message::default();
        event.double(1, self.wall_time);
        event.varint(2, step as u64);
        fill(&mut event);
        let event = event.as_bytes();
        let length = (event.len() as u64).to_le_bytes();
        self.bytes.extend(length);
        self.bytes.extend(masked_checksum(&length).to_le_bytes());
        self.bytes.extend(event);
        self.bytes.extend(masked_checksum(event).to_le_bytes());
    }
}

/// The metadata by which a plugin finds what is its own.
fn plugin(name: &str, content: &Message) -> Message {
    let mut data = Message::default();
    data.bytes(1, name.as_bytes());
    data.message(2, content);
    let mut metadata = Message::default();
    metadata.message(1, &data);
    metadata
}

/// CRC-32C (Castagnoli), turned and moved so that checksums of checksums stay unlike (`core/lib/hash/crc32c.h`).
fn masked_checksum(bytes: &[u8]) -> u32 {
    let step = |register: u32, _| (register >> 1) ^ (0x82F6_3B78 & (register & 1).wrapping_neg());
    let register =
        bytes.iter().fold(u32::MAX, |register, byte| (0..8).fold(register ^ u32::from(*byte), step));
    (!register).rotate_right(15).wrapping_add(0xA282_EAD8)
}
