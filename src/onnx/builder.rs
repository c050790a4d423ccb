//! A graph in the making: gives every value a name of its own and keeps the order in which nodes can be computed.

use super::proto::{
    AttributeProto, Dimension, ElementType, GraphProto, NodeProto, TensorData, TensorProto, ValueInfoProto,
};
use std::collections::BTreeMap;

/// A value of a graph, by its name: an input, a constant or what a node makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

/// Grows a graph.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    /// Around what is added now, from the outside in.
    scopes: Vec<String>,
    /// How often each name was asked for.
    taken: BTreeMap<String, usize>,
}

impl GraphBuilder {
    /// An empty graph of this name.
    pub fn new(name: &str) -> GraphBuilder {
        let graph = GraphProto { name: name.to_owned(), ..GraphProto::default() };
        GraphBuilder { graph, ..GraphBuilder::default() }
    }

    /// Names of what `fill` adds begin with `scope/`.
    pub fn within<T>(&mut self, scope: &str, fill: impl FnOnce(&mut GraphBuilder) -> T) -> T {
        self.scopes.push(scope.to_owned());
        let result = fill(self);
        self.scopes.pop();
        result
    }

    /// An input that the caller gives, under this very name.
    pub fn input(&mut self, info: ValueInfoProto) -> Value {
        let value = Value(info.name.clone());
        self.taken.insert(info.name.clone(), 1);
        self.graph.inputs.push(info);
        value
    }

    /// A constant of this shape, row-major.
    pub fn constant(&mut self, name: &str, shape: &[usize], data: TensorData) -> Value {
        let name = self.name(name);
        self.graph.initializers.push(TensorProto { name: name.clone(), shape: shape.to_vec(), data });
        Value(name)
    }

    /// The first output of a new node.
    pub fn node(
        &mut self,
        operator: &'static str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
    ) -> Value {
        self.node_output(operator, inputs, attributes, 0)
    }

    /// Output number `output` (from 0) of a new node, whose other outputs are not wanted.
    pub fn node_output(
        &mut self,
        operator: &'static str,
        inputs: &[&Value],
        attributes: Vec<AttributeProto>,
        output: usize,
    ) -> Value {
        let name = self.name(operator);
        let mut outputs = vec![String::new(); output];
        outputs.push(name.clone());
        self.graph.nodes.push(NodeProto {
            name: name.clone(),
            operator: operator.to_owned(),
            inputs: inputs.iter().map(|value| value.0.clone()).collect(),
            outputs,
            attributes,
        });
        Value(name)
    }

    /// The graph whose only output is this value, under the name of `info`.
    pub fn finish(mut self, value: &Value, info: ValueInfoProto) -> GraphProto {
        self.graph.nodes.push(NodeProto {
            name: info.name.clone(),
            operator: "Identity".to_owned(),
            inputs: vec![value.0.clone()],
            outputs: vec![info.name.clone()],
            attributes: Vec::new(),
        });
        self.graph.outputs.push(info);
        self.graph
    }

    /// The name in its scopes; behind its first use with a number: `encoder.0/MatMul_2`.
    fn name(&mut self, name: &str) -> String {
        let full = self.scopes.iter().map(|scope| format!("{scope}/")).collect::<String>() + name;
        let uses = self.taken.entry(full.clone()).or_default();
        *uses += 1;
        if *uses == 1 { full } else { format!("{full}_{uses}") }
    }
}

impl ValueInfoProto {
    /// A batch of values of this shape: its first axis is as long as the caller wants.
    pub fn batch(name: &str, element: ElementType, shape: &[usize], doc_string: &str) -> ValueInfoProto {
        let fixed = shape.iter().map(|length| Dimension::Fixed(*length));
        let shape = std::iter::once(Dimension::Free("batch")).chain(fixed).collect();
        ValueInfoProto { name: name.to_owned(), element, shape, doc_string: doc_string.to_owned() }
    }
}
