//! A reader of Protocol Buffers' wire format that shares nothing with the writer.

/// A field of a message: its number and its bytes; of numbers their value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Whole(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            break;
        }
    }
    value
}

pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Whole(varint(&mut bytes)),
            1 => Field::Double(f64::from_le_bytes(bytes.split_off(..8).unwrap().try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(bytes.split_off(..length).unwrap().to_vec())
            }
            5 => Field::Float(f32::from_le_bytes(bytes.split_off(..4).unwrap().try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

/// The bytes of the first field of this number.
pub(crate) fn bytes_of(message: &[u8], number: u64) -> Vec<u8> {
    all_bytes_of(message, number).into_iter().next().unwrap_or_else(|| panic!("there is no field {number}"))
}

/// The bytes of all fields of this number.
pub(crate) fn all_bytes_of(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let of_number = fields(message).into_iter().filter(|(field, _)| *field == number);
    of_number
        .map(|(_, field)| match field {
            Field::Bytes(bytes) => bytes,
            other => panic!("field {number} is {other:?}"),
        })
        .collect()
}
