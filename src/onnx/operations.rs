//! The operators that networks use, as operator set 17 has them (`Operators.md`). Shapes are given as `B` for the batch, whose
//! length a graph does not know.

use super::builder::{GraphBuilder, Value};
use super::proto::{AttributeProto, AttributeValue, ElementType, TensorData};
use std::ops::Range;

impl GraphBuilder {
    /// Constants of one axis.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> Value {
        self.constant(name, &[values.len()], TensorData::Integers(values.to_vec()))
    }

    /// A single number, f32.
    pub fn float(&mut self, name: &str, value: f32) -> Value {
        self.constant(name, &[], TensorData::Floats(vec![value]))
    }

    /// `left + right`, one spread over the other where its axes are fewer or of length 1; so also the next three.
    pub fn add(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Add", &[left, right], Vec::new())
    }

    /// `left - right`.
    pub fn subtract(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Sub", &[left, right], Vec::new())
    }

    /// `left * right`.
    pub fn multiply(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Mul", &[left, right], Vec::new())
    }

    /// `left / right`.
    pub fn divide(&mut self, left: &Value, right: &Value) -> Value {
        self.node("Div", &[left, right], Vec::new())
    }

    /// `value weight + bias`, the weight `[inputs, outputs]`.
    pub fn linear(&mut self, value: &Value, [weight, bias]: [&Value; 2]) -> Value {
        let product = self.product(value, weight);
        self.add(&product, bias)
    }

    /// The product of matrices in the last two axes.
    pub fn product(&mut self, left: &Value, right: &Value) -> Value {
        self.node("MatMul", &[left, right], Vec::new())
    }

    /// The same numbers as another type.
    pub fn cast(&mut self, value: &Value, to: ElementType) -> Value {
        self.node("Cast", &[value], vec![AttributeProto::integer("to", to as i64)])
    }

    /// The same numbers in another shape; 0 stands for the length of the axis at this place, -1 for what is left.
    pub fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.integers("shape", shape);
        self.node("Reshape", &[value, &shape], Vec::new())
    }

    /// The axes in another order.
    pub fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.node("Transpose", &[value], vec![AttributeProto::integers("perm", order)])
    }

    /// Takes away an axis of length 1.
    pub fn squeeze(&mut self, value: &Value, axis: i64) -> Value {
        let axes = self.integers("axes", &[axis]);
        self.node("Squeeze", &[value, &axes], Vec::new())
    }

    /// A part of an axis.
    pub fn slice(&mut self, value: &Value, axis: i64, range: Range<usize>) -> Value {
        let start = self.integers("start", &[range.start as i64]);
        let end = self.integers("end", &[range.end as i64]);
        let axes = self.integers("axes", &[axis]);
        self.node("Slice", &[value, &start, &end, &axes], Vec::new())
    }

    /// These places of an axis, in this order.
    pub fn gather(&mut self, value: &Value, axis: i64, places: &[i64]) -> Value {
        let places = self.integers("places", places);
        self.node("Gather", &[value, &places], vec![AttributeProto::integer("axis", axis)])
    }

    /// The mean over an axis, which stays with length 1.
    pub fn mean(&mut self, value: &Value, axis: i64) -> Value {
        self.node(
            "ReduceMean",
            &[value],
            vec![AttributeProto::integers("axes", &[axis]), AttributeProto::integer("keepdims", 1)],
        )
    }

    /// Normalisation of the last axis, then `scale` and `shift` of its length.
    pub fn layer_norm(&mut self, value: &Value, [scale, shift]: [&Value; 2], epsilon: f32) -> Value {
        let attributes = vec![AttributeProto::integer("axis", -1), AttributeProto::float("epsilon", epsilon)];
        self.node("LayerNormalization", &[value, scale, shift], attributes)
    }

    /// Shares of the last axis.
    pub fn softmax(&mut self, value: &Value) -> Value {
        self.node("Softmax", &[value], vec![AttributeProto::integer("axis", -1)])
    }

    /// Within these bounds, f64.
    pub fn clip(&mut self, value: &Value, [low, high]: [f64; 2]) -> Value {
        let low = self.constant("low", &[], TensorData::Doubles(vec![low]));
        let high = self.constant("high", &[], TensorData::Doubles(vec![high]));
        self.node("Clip", &[value, &low, &high], Vec::new())
    }

    /// `1 / (1 + exp(-value))`.
    pub fn sigmoid(&mut self, value: &Value) -> Value {
        self.node("Sigmoid", &[value], Vec::new())
    }
}

impl AttributeProto {
    /// A setting that is a whole number.
    pub fn integer(name: &'static str, value: i64) -> AttributeProto {
        AttributeProto { name, value: AttributeValue::Integer(value) }
    }

    /// A setting of whole numbers.
    pub fn integers(name: &'static str, values: &[i64]) -> AttributeProto {
        AttributeProto { name, value: AttributeValue::Integers(values.to_vec()) }
    }

    /// A setting that is a number.
    pub fn float(name: &'static str, value: f32) -> AttributeProto {
        AttributeProto { name, value: AttributeValue::Float(value) }
    }
}
