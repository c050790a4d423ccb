//! The backward pass of an encoder layer; see `encoder.rs` for the formula. Norms and activations are computed again
//! instead of being kept.

use super::arena::{Arena, Buffer};
use super::attention::{self, Recorded};
use super::encoder::{
    Batch, EncoderPlaces, EncoderSettings, EncoderShape, LinearPlace, NormPlace, NormPlaces,
};
use super::encoder::{Record, rows_of};
use super::matrix::{Matrix, MatrixMut, Target};
use super::norm_rows::{NormBackward, NormForward, norm_backward, norm_forward};
use super::product::{Products, Right};
use super::row_steps::{add_rows, add_to, residual_gradient};
use std::ops::Range;

/// The gradients of x and of a layer's weights.
#[derive(Debug)]
pub struct EncoderGradients {
    /// `[B, T, D]`
    pub of_x: Vec<f32>,
    /// As the weights lie.
    pub of_weights: Vec<f32>,
}

/// Buffers of one chunk.
struct Scratch {
    /// `[rows, D]` each.
    narrow: [Buffer; 4],
    /// `[rows, 3D]`
    of_queries_keys_values: Buffer,
    /// `[rows, middle]` each.
    middle: [Buffer; 2],
    heads: Buffer,
}

struct Backward<'a> {
    settings: &'a EncoderSettings,
    products: Products<'a>,
    weights: &'a [f32],
    places: EncoderPlaces,
    record: &'a Record,
    length: usize,
    /// Transposed: of queries alone where not all positions ask, of queries, keys and values (or of keys and values), of
    /// the attention's output, of expand, of contract.
    queries: Option<Right<'a>>,
    queries_keys_values: Right<'a>,
    attention_output: Right<'a>,
    expand: Right<'a>,
    contract: Right<'a>,
}

/// From the gradient of y `[B, T - first, D]` and the record of [`super::encoder::forward`] with the same x and weights.
///
/// # Panics
/// When slices do not fit the settings: a fault of the caller.
pub fn backward(
    settings: &EncoderSettings,
    arena: &Arena,
    [x, weights, of_y]: [&[f32]; 3],
    windows: usize,
    record: &Record,
) -> EncoderGradients {
    let EncoderShape { width, feed_forward, .. } = settings.shape;
    let length = x.len() / windows / width;
    let (batch, asking) = (Batch::new(windows, length), length - settings.first);
    assert!(of_y.len() == windows * asking * width, "the gradient must fit");
    let mut gradients = EncoderGradients { of_x: vec![0.0; x.len()], of_weights: vec![0.0; weights.len()] };
    let pass =
        Backward::new(settings, Products { precision: settings.precision, arena }, weights, record, length);
    let rows = batch.step * length;
    let mut scratch = Scratch {
        narrow: [0; 4].map(|_| arena.take(rows * width)),
        of_queries_keys_values: arena.take(rows * 3 * width),
        middle: [0; 2].map(|_| arena.take(rows * feed_forward)),
        heads: arena.take(settings.attention(length).scratch()),
    };
    let EncoderGradients { of_x, of_weights } = &mut gradients;
    for chunk in batch.chunks() {
        pass.feed_forward(&of_y[rows_of(&chunk, asking * width)], &chunk, &mut scratch, of_weights);
        let rows = rows_of(&chunk, length * width);
        pass.attend(&x[rows.clone()], &chunk, &mut scratch, (&mut of_x[rows], of_weights));
    }
    pass.done();
    let Scratch { narrow, of_queries_keys_values, middle, heads } = scratch;
    narrow
        .into_iter()
        .chain(middle)
        .chain([of_queries_keys_values, heads])
        .for_each(|buffer| arena.give(buffer));
    gradients
}

impl<'a> Backward<'a> {
    fn new(
        settings: &'a EncoderSettings,
        products: Products<'a>,
        weights: &'a [f32],
        record: &'a Record,
        length: usize,
    ) -> Self {
        let places = settings.shape.places();
        let width = settings.shape.width;
        let transposed = |place: &LinearPlace| {
            let weight = &weights[place.weight.clone()];
            products.right(Matrix::new(weight, place.inputs, place.outputs, place.outputs).transposed())
        };
        let all = &weights[places.queries_keys_values.weight.clone()];
        let columns = |start: usize, count: usize| {
            products.right(Matrix::new(&all[start..], width, count, 3 * width).transposed())
        };
        let apart = settings.first > 0;
        Backward {
            queries: apart.then(|| columns(0, width)),
            queries_keys_values: if apart { columns(width, 2 * width) } else { columns(0, 3 * width) },
            attention_output: transposed(&places.attention_output),
            expand: transposed(&places.expand),
            contract: transposed(&places.contract),
            settings,
            products,
            weights,
            places,
            record,
            length,
        }
    }

    fn done(self) {
        let rights = [self.queries_keys_values, self.attention_output, self.expand, self.contract];
        rights.into_iter().chain(self.queries).for_each(|right| self.products.done(right));
    }

    fn normalise(&self, place: &NormPlaces, x: &[f32], y: &mut [f32]) {
        let (scale, shift) = (&self.weights[place.scale.clone()], &self.weights[place.shift.clone()]);
        norm_forward(NormForward { x, scale, shift, y });
    }

    fn normalise_gradient(
        &self,
        place: &NormPlaces,
        [x, of_y]: [&[f32]; 2],
        of_x: &mut [f32],
        of_weights: &mut [f32],
    ) {
        let (of_scale, of_shift) =
            of_weights[place.scale.start..place.shift.end].split_at_mut(place.scale.len());
        let scale = &self.weights[place.scale.clone()];
        norm_backward(NormBackward { x, scale, of_y, of_x, of_scale, of_shift });
    }

    /// Adds the gradients of a linear map's weight and bias: `left' of_result` and the sum of its rows.
    fn linear_gradient(&self, place: &LinearPlace, left: &[f32], of_result: &[f32], of_weights: &mut [f32]) {
        let LinearPlace { inputs, outputs, .. } = *place;
        let rows = of_result.len() / outputs;
        let result = MatrixMut::new(&mut of_weights[place.weight.clone()], inputs, outputs, outputs);
        let left = Matrix::new(left, rows, inputs, inputs).transposed();
        self.products.multiply_once(
            result,
            left,
            Matrix::new(of_result, rows, outputs, outputs),
            Target::Added,
        );
        add_rows(of_result, &mut of_weights[place.bias.clone()]);
    }

    /// `of_left [rows, inputs] = of_result [rows, outputs] W'`, or added to it.
    fn through(&self, right: &Right, of_result: &[f32], of_left: &mut [f32], rows: usize, mode: Target) {
        let (inputs, outputs) = (of_left.len() / rows, of_result.len() / rows);
        let left = Matrix::new(of_result, rows, outputs, outputs);
        self.products.multiply(MatrixMut::new(of_left, rows, inputs, inputs), left, right, mode);
    }

    /// From the gradient of y to that of s, which is left in the first narrow buffer.
    fn feed_forward(
        &self,
        of_y: &[f32],
        chunk: &Range<usize>,
        scratch: &mut Scratch,
        of_weights: &mut [f32],
    ) {
        let EncoderShape { width, feed_forward, .. } = self.settings.shape;
        let asking = self.length - self.settings.first;
        let rows = chunk.len() * asking;
        let sum = &self.record.sum[rows_of(chunk, asking * width)];
        let middle = &self.record.middle[rows_of(chunk, asking * feed_forward)];
        let [of_sum, of_second, of_output, normal] =
            scratch.narrow.each_mut().map(|buffer| &mut buffer[..rows * width]);
        let [of_middle, free] = scratch.middle.each_mut().map(|buffer| &mut buffer[..rows * feed_forward]);
        let (first_norm, of_second) = match self.settings.norm {
            NormPlace::First => (&self.places.feed_forward_norm, of_y),
            NormPlace::Last => {
                let second_sum = &self.record.second_sum[rows_of(chunk, asking * width)];
                let place = &self.places.feed_forward_norm;
                self.normalise_gradient(place, [second_sum, of_y], of_second, of_weights);
                (&self.places.attention_norm, &*of_second)
            }
        };
        residual_gradient(self.settings.dropout[1], chunk.start * asking * width, of_second, of_output);
        let activated = self.settings.activation.activated(middle, free);
        self.linear_gradient(&self.places.contract, activated, of_output, of_weights);
        self.through(&self.contract, of_output, of_middle, rows, Target::Replaced);
        self.settings.activation.backward(middle, of_middle);
        self.normalise(first_norm, sum, normal);
        self.linear_gradient(&self.places.expand, normal, of_middle, of_weights);
        let of_normal = of_output;
        self.through(&self.expand, of_middle, of_normal, rows, Target::Replaced);
        if self.settings.norm == NormPlace::First {
            self.normalise_gradient(first_norm, [sum, of_normal], of_sum, of_weights);
            add_to(of_second, of_sum);
        } else {
            add_to(of_second, of_normal);
            self.normalise_gradient(first_norm, [sum, of_normal], of_sum, of_weights);
        }
    }

    /// From the gradient of s to that of x.
    fn attend(
        &self,
        x: &[f32],
        chunk: &Range<usize>,
        scratch: &mut Scratch,
        (of_x, of_weights): (&mut [f32], &mut [f32]),
    ) {
        let width = self.settings.shape.width;
        let (length, first) = (self.length, self.settings.first);
        let (windows, asking) = (chunk.len(), length - first);
        let [of_sum, of_attended, of_output, normal] = &mut scratch.narrow;
        let of_sum = &of_sum[..windows * asking * width];
        let of_output = &mut of_output[..windows * asking * width];
        residual_gradient(self.settings.dropout[0], chunk.start * asking * width, of_sum, of_output);
        let attended = &self.record.attended[rows_of(chunk, asking * width)];
        self.linear_gradient(&self.places.attention_output, attended, of_output, of_weights);
        let of_attended = &mut of_attended[..windows * asking * width];
        self.through(&self.attention_output, of_output, of_attended, windows * asking, Target::Replaced);
        let shape = self.settings.attention(length);
        let recorded = Recorded {
            qkv: &self.record.queries_keys_values[rows_of(chunk, length * 3 * width)],
            weights: &self.record.weights[rows_of(chunk, shape.weights())],
            of_output: of_attended,
        };
        let of_qkv = &mut scratch.of_queries_keys_values[..windows * length * 3 * width];
        attention::backward(shape, &recorded, of_qkv, &mut scratch.heads);
        match self.settings.norm {
            NormPlace::First => {
                let place = &self.places.attention_norm;
                let normal = &mut normal[..x.len()];
                self.normalise(place, x, normal);
                self.project_weights(normal, windows, of_qkv, of_weights);
                let of_normal = normal;
                self.project(windows, of_qkv, of_normal);
                self.normalise_gradient(place, [x, of_normal], of_x, of_weights);
            }
            NormPlace::Last => {
                self.project_weights(x, windows, of_qkv, of_weights);
                self.project(windows, of_qkv, of_x);
            }
        }
        let windows = of_sum.chunks_exact(asking * width).zip(of_x.chunks_exact_mut(length * width));
        for (of_sum, of_x) in windows {
            add_to(of_sum, &mut of_x[first * width..]);
        }
    }

    /// The gradients of the weight and bias of queries, keys and values.
    fn project_weights(&self, source: &[f32], windows: usize, of_qkv: &[f32], of_weights: &mut [f32]) {
        let place = &self.places.queries_keys_values;
        if self.queries.is_none() {
            return self.linear_gradient(place, source, of_qkv, of_weights);
        }
        let width = self.settings.shape.width;
        let rows = windows * self.length;
        add_rows(of_qkv, &mut of_weights[place.bias.clone()]);
        let of_weight = &mut of_weights[place.weight.clone()];
        self.products.multiply_once(
            MatrixMut::new(&mut of_weight[width..], width, 2 * width, 3 * width),
            Matrix::new(source, rows, width, width).transposed(),
            Matrix::new(&of_qkv[width..], rows, 2 * width, 3 * width),
            Target::Added,
        );
        for position in self.settings.first..self.length {
            self.products.multiply_once(
                MatrixMut::new(of_weight, width, width, 3 * width),
                Matrix::new(&source[position * width..], windows, width, self.length * width).transposed(),
                Matrix::new(&of_qkv[position * 3 * width..], windows, width, self.length * 3 * width),
                Target::Added,
            );
        }
    }

    /// The gradient of what queries, keys and values were made of; overwritten.
    fn project(&self, windows: usize, of_qkv: &[f32], of_source: &mut [f32]) {
        let (width, length) = (self.settings.shape.width, self.length);
        let rows = windows * length;
        let Some(queries) = &self.queries else {
            return self.through(&self.queries_keys_values, of_qkv, of_source, rows, Target::Replaced);
        };
        let left = Matrix::new(&of_qkv[width..], rows, 2 * width, 3 * width);
        let result = MatrixMut::new(of_source, rows, width, width);
        self.products.multiply(result, left, &self.queries_keys_values, Target::Replaced);
        for position in self.settings.first..length {
            let left = Matrix::new(&of_qkv[position * 3 * width..], windows, width, length * 3 * width);
            let result = MatrixMut::new(&mut of_source[position * width..], windows, width, length * width);
            self.products.multiply(result, left, queries, Target::Added);
        }
    }
}
