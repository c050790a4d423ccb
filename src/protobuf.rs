//! Ground: fields in the wire format of Protocol Buffers, for the few messages that are written to files of other programs.
//!
//! Source: "Encoding" in the documentation of Protocol Buffers. A field is its number and its wire type, then its value;
//! a message in a message is its bytes with their length before them.

/// The fields of one message, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// The message as it stands in a file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A whole number, a truth or a choice of an enumeration. A negative one is given in two's complement.
    pub fn varint(&mut self, field: u64, value: u64) {
        self.number(field << 3);
        self.number(value);
    }

    /// A number of 64 bits.
    pub fn double(&mut self, field: u64, value: f64) {
        self.number(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    /// A number of 32 bits.
    pub fn float(&mut self, field: u64, value: f32) {
        self.number(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes, or the UTF-8 of a text.
    pub fn bytes(&mut self, field: u64, value: &[u8]) {
        self.number(field << 3 | 2);
        self.number(value.len() as u64);
        self.0.extend(value);
    }

    /// A message within this one.
    pub fn message(&mut self, field: u64, value: &Message) {
        self.bytes(field, &value.0);
    }
}
