//! ONNX: fitted models as graphs of operations that other programs run (`onnx.proto` and `Operators.md` of the ONNX
//! project). [`ModelProto`] is the file, [`GraphBuilder`] grows its graph; neither knows a model of ours.

mod builder;
mod operations;
mod proto;

pub use builder::{GraphBuilder, Value};
pub use proto::{
    AttributeProto, AttributeValue, Dimension, ElementType, GraphProto, ModelProto, NodeProto, TensorData,
    TensorProto, ValueInfoProto,
};
