//! The messages of `onnx.proto` that a model without control flow needs, and their bytes. Names and field numbers are
//! those of that file; what is not written has its default there.

use crate::protobuf::Message;

/// `ir_version` of the files: `IR_VERSION_2021_7_30`, the one that came with operator set 17. Later runtimes read it.
const IR_VERSION: u64 = 8;

/// The operator set in which nodes are meant: the first with `LayerNormalization`.
const OPERATOR_SET: u64 = 17;

/// A file: a graph, who made it, and what people should know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelProto {
    /// Name of the program that wrote it.
    pub producer_name: String,
    /// Version of that program.
    pub producer_version: String,
    /// For people.
    pub doc_string: String,
    /// What is computed.
    pub graph: GraphProto,
    /// Names and texts, in order.
    pub metadata: Vec<(String, String)>,
}

impl ModelProto {
    /// The bytes of the file; equal models have equal ones.
    pub fn encode(&self) -> Vec<u8> {
        let mut operator_set = Message::default();
        // The domain of ONNX's own operators is the empty text.
        operator_set.bytes(1, b"");
        operator_set.varint(2, OPERATOR_SET);
        let mut model = Message::default();
        model.varint(1, IR_VERSION);
        model.bytes(2, self.producer_name.as_bytes());
        model.bytes(3, self.producer_version.as_bytes());
        model.bytes(6, self.doc_string.as_bytes());
        model.message(7, &self.graph.message());
        model.message(8, &operator_set);
        for (key, value) in &self.metadata {
            let mut entry = Message::default();
            entry.bytes(1, key.as_bytes());
            entry.bytes(2, value.as_bytes());
            model.message(14, &entry);
        }
        model.as_bytes().to_vec()
    }
}

/// Operations on named values, each made before it is used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphProto {
    /// Its name.
    pub name: String,
    /// In an order in which they can be computed.
    pub nodes: Vec<NodeProto>,
    /// Constants.
    pub initializers: Vec<TensorProto>,
    /// What a caller gives.
    pub inputs: Vec<ValueInfoProto>,
    /// What a caller gets.
    pub outputs: Vec<ValueInfoProto>,
}

impl GraphProto {
    fn message(&self) -> Message {
        let mut graph = Message::default();
        self.nodes.iter().for_each(|node| graph.message(1, &node.message()));
        graph.bytes(2, self.name.as_bytes());
        self.initializers.iter().for_each(|tensor| graph.message(5, &tensor.message()));
        self.inputs.iter().for_each(|input| graph.message(11, &input.message()));
        self.outputs.iter().for_each(|output| graph.message(12, &output.message()));
        graph
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeProto {
    /// Unlike that of all other nodes.
    pub name: String,
    /// The operator: `MatMul`.
    pub operator: String,
    /// Names of values.
    pub inputs: Vec<String>,
    /// Names of the values that it makes; an empty name leaves out an output before one that is wanted.
    pub outputs: Vec<String>,
    /// Settings of the operator.
    pub attributes: Vec<AttributeProto>,
}

impl NodeProto {
    fn message(&self) -> Message {
        let mut node = Message::default();
        self.inputs.iter().for_each(|input| node.bytes(1, input.as_bytes()));
        self.outputs.iter().for_each(|output| node.bytes(2, output.as_bytes()));
        node.bytes(3, self.name.as_bytes());
        node.bytes(4, self.operator.as_bytes());
        self.attributes.iter().for_each(|attribute| node.message(5, &attribute.message()));
        node
    }
}

/// A setting of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeProto {
    /// Its name.
    pub name: &'static str,
    /// What it is set to.
    pub value: AttributeValue,
}

/// What a setting is set to.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A number.
    Float(f32),
    /// A whole number.
    Integer(i64),
    /// Whole numbers.
    Integers(Vec<i64>),
}

impl AttributeProto {
    fn message(&self) -> Message {
        let mut attribute = Message::default();
        attribute.bytes(1, self.name.as_bytes());
        // The last number is `AttributeProto.AttributeType`.
        let kind = match &self.value {
            AttributeValue::Float(value) => {
                attribute.float(2, *value);
                1
            }
            AttributeValue::Integer(value) => {
                attribute.varint(3, *value as u64);
                2
            }
            AttributeValue::Integers(values) => {
                values.iter().for_each(|value| attribute.varint(8, *value as u64));
                7
            }
        };
        attribute.varint(20, kind);
        attribute
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorProto {
    /// Its name among the values.
    pub name: String,
    /// Its dimensions; none for a single number.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub data: TensorData,
}

/// The numbers of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// f32
    Floats(Vec<f32>),
    /// f64
    Doubles(Vec<f64>),
    /// i64
    Integers(Vec<i64>),
}

impl TensorData {
    /// How many numbers.
    pub fn len(&self) -> usize {
        match self {
            TensorData::Floats(values) => values.len(),
            TensorData::Doubles(values) => values.len(),
            TensorData::Integers(values) => values.len(),
        }
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of each number.
    pub fn element(&self) -> ElementType {
        match self {
            TensorData::Floats(_) => ElementType::Float,
            TensorData::Doubles(_) => ElementType::Double,
            TensorData::Integers(_) => ElementType::Integer,
        }
    }

    /// Little-endian, as `raw_data` wants it.
    fn bytes(&self) -> Vec<u8> {
        match self {
            TensorData::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Doubles(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorData::Integers(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

impl TensorProto {
    fn message(&self) -> Message {
        let mut tensor = Message::default();
        self.shape.iter().for_each(|length| tensor.varint(1, *length as u64));
        tensor.varint(2, self.data.element() as u64);
        tensor.bytes(8, self.name.as_bytes());
        tensor.bytes(9, &self.data.bytes());
        tensor
    }
}

/// `TensorProto.DataType`: the type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// f32
    Float = 1,
    /// i64
    Integer = 7,
    /// f64
    Double = 11,
}

/// An input or an output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfoProto {
    /// Its name.
    pub name: String,
    /// Of its numbers.
    pub element: ElementType,
    /// Its dimensions.
    pub shape: Vec<Dimension>,
    /// For people.
    pub doc_string: String,
}

/// How long an axis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always so long.
    Fixed(usize),
    /// As long as the caller wants; equal names are equally long.
    Free(&'static str),
}

impl ValueInfoProto {
    fn message(&self) -> Message {
        let mut shape = Message::default();
        for dimension in &self.shape {
            let mut entry = Message::default();
            match dimension {
                Dimension::Fixed(length) => entry.varint(1, *length as u64),
                Dimension::Free(name) => entry.bytes(2, name.as_bytes()),
            }
            shape.message(1, &entry);
        }
        let mut tensor = Message::default();
        tensor.varint(1, self.element as u64);
        tensor.message(2, &shape);
        let mut kind = Message::default();
        kind.message(1, &tensor);
        let mut info = Message::default();
        info.bytes(1, self.name.as_bytes());
        info.message(2, &kind);
        info.bytes(3, self.doc_string.as_bytes());
        info
    }
}
