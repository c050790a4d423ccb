//! Each kernel family at the shapes of the benchmark networks, beside the device's ceilings.
//!
//! Beside each kernel stand the bytes that it must move (every number read once and written once, as the algorithm needs it)
//! and the operations of its products. The ceiling of a kernel is the larger of two times: its bytes by the measured
//! bandwidth, its operations by the measured arithmetic. Work that fits into the second-level cache can move its bytes
//! faster than that.

use super::ceilings::{Ceilings, PRECISIONS, name_of};
use super::measure::{Bench, digits, row, section};
use super::networks::{LstmShape, POPULATIONS, TransformerShape, lstms, transformer};
use candlewick::kernels::adamw::AdamWStep;
use candlewick::kernels::attention::AttentionShape;
use candlewick::kernels::gpu::GpuError;
use candlewick::kernels::population::Rows;
use candlewick::kernels::population_adam::{PopulationAdam, numbers};
use candlewick::kernels::population_attention::{AttentionGradients, PopulationAttention};
use candlewick::kernels::population_gather::{PopulationGather, SeriesPlaces};
use candlewick::kernels::population_linear::PopulationLinear;
use candlewick::kernels::population_loss::{LossKind, LossPart, PopulationLoss, loss_table};
use candlewick::kernels::population_lstm::{LstmBuffers, LstmPath, Outputs, PopulationLstm};
use candlewick::kernels::population_norm::{NormGradients, PopulationNorm};
use candlewick::kernels::population_rows::PopulationRows;
use candlewick::kernels::precision::Precision;
use candlewick::kernels::row_steps::Activation;

/// One kernel at one size.
struct Kernel<'t> {
    name: &'t str,
    shape: String,
    population: usize,
    precision: Precision,
    /// All members together.
    bytes: usize,
    /// Of the products, all members together.
    operations: usize,
}

/// All families.
struct Families<'b> {
    bench: &'b Bench,
    ceilings: &'b Ceilings,
}

/// Prints the table of all families.
pub(crate) fn families(bench: &Bench, ceilings: &Ceilings) {
    let note = "P is the population. The ceiling is the measured bandwidth or the measured arithmetic, whichever asks for more \
                time; what fits into the second-level cache can be above it.";
    let columns = ["kernel", "shape", "P", "us", "GB/s", "TFLOP/s", "ceiling", "per cent of it"];
    section(bench, "kernels", note, &columns);
    let families = Families { bench, ceilings };
    let (lstms, transformer) = (lstms(bench.small), transformer(bench.small));
    for population in POPULATIONS {
        let population = if bench.small { population.min(2) } else { population };
        for shape in &lstms {
            families.lstm_network(shape, population);
        }
        families.transformer_network(&transformer, population);
        if bench.small && population == 2 {
            break;
        }
    }
}

impl Families<'_> {
    /// Times a kernel and prints its row.
    fn measure(&self, kernel: &Kernel, launch: impl Fn() -> Result<(), GpuError>) {
        self.print(kernel, self.bench.seconds(launch));
    }

    fn print(&self, kernel: &Kernel, seconds: f64) {
        let (bytes, operations) = (kernel.bytes as f64, kernel.operations as f64);
        let peak = self.ceilings.operations[usize::from(kernel.precision == Precision::Bf16)];
        let (moving, computing) = (bytes / self.ceilings.bytes, operations / peak);
        let ceiling = if moving >= computing { "bytes" } else { name_of(kernel.precision) };
        let flops = if kernel.operations == 0 { "-".into() } else { digits(operations / seconds / 1e12) };
        row(&[
            kernel.name.to_owned(),
            kernel.shape.clone(),
            kernel.population.to_string(),
            digits(1e6 * seconds),
            digits(bytes / seconds / 1e9),
            flops,
            ceiling.into(),
            format!("{:.1}", 100.0 * moving.max(computing) / seconds),
        ]);
    }

    fn lstm_network(&self, shape: &LstmShape, population: usize) {
        let name = shape.name;
        self.gather(name, population, [shape.batch, shape.steps * shape.features, shape.outputs]);
        let rows = shape.batch * shape.steps;
        for (number, [inputs, hidden]) in shape.sizes().into_iter().enumerate() {
            let layer = format!("{name}{}", number + 1);
            for precision in PRECISIONS {
                let linear = PopulationLinear { population, rows, inputs, outputs: 4 * hidden, precision };
                self.linear(&layer, linear, number > 0);
                self.recurrence(&layer, shape, (number, hidden), population, precision);
            }
        }
        self.loss(name, population, [shape.batch, shape.outputs]);
        self.adam(name, population, shape.weights());
    }

    fn transformer_network(&self, shape: &TransformerShape, population: usize) {
        let (rows, width, middle) = (shape.rows(), shape.width, shape.middle);
        self.gather("D", population, [shape.batch, shape.steps * shape.features, shape.outputs]);
        for precision in PRECISIONS {
            for (name, inputs, outputs) in
                [("D qkv", width, 3 * width), ("D up", width, middle), ("D down", middle, width)]
            {
                let linear = PopulationLinear { population, rows, inputs, outputs, precision };
                self.linear(name, linear, true);
            }
            self.attention(shape, population, precision);
        }
        self.norm(population, rows, width);
        self.rows(population, rows, [width, middle]);
        self.loss("D", population, [shape.batch, shape.outputs]);
        self.adam("D", population, shape.weights());
    }

    /// Each number of a batch is read and written.
    fn gather(&self, name: &str, population: usize, [rows, size, horizons]: [usize; 3]) {
        let gpu = &self.bench.gpu;
        let windows = 4 * rows;
        let series = self.bench.random(windows + size);
        let starts: Vec<u64> = (0..windows as u64).collect();
        let order: Vec<u32> = (0..windows as u32).map(|number| number * 7 % windows as u32).collect();
        let (starts, order) = (gpu.upload(&starts).unwrap(), gpu.upload(&order).unwrap());
        let targets = self.bench.random(windows * horizons);
        let places = SeriesPlaces {
            series: series.address(),
            starts: starts.address(),
            targets: targets.address(),
            order: order.address(),
        };
        let places = gpu.upload(&places.numbers().repeat(population)).unwrap();
        let offsets = gpu.zeros::<u32>(population).unwrap();
        let counts = gpu.upload(&vec![rows as i32; population]).unwrap();
        let (step, active) = (gpu.zeros::<i32>(1).unwrap(), gpu.zeros::<i32>(population).unwrap());
        let x = gpu.zeros::<f32>(population * rows * size).unwrap();
        let y = gpu.zeros::<f32>(population * rows * horizons).unwrap();
        let gather = PopulationGather {
            population,
            rows,
            size,
            horizons,
            places: places.address(),
            offsets: offsets.address(),
            counts: counts.address(),
            step: step.address(),
            x: x.address(),
            y: y.address(),
            active: active.address(),
        };
        let kernel = Kernel {
            name: "gather_windows",
            shape: format!("{name}: {rows} x {size}"),
            population,
            precision: Precision::F32,
            bytes: population * rows * 8 * (size + horizons),
            operations: 0,
        };
        self.measure(&kernel, || gather.launch(gpu));
    }

    /// Forward, the gradient of the weight, and that of the input where the network asks for it: 2 R I O operations each.
    fn linear(&self, name: &str, linear: PopulationLinear, of_input: bool) {
        let PopulationLinear { population, rows, inputs, outputs, precision } = linear;
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let x = bench.random(population * rows * inputs);
        let y = bench.random(population * rows * outputs);
        let weight = bench.random(population * (inputs + 1) * outputs);
        let scratch = bench.random(linear.scratch());
        let member = (inputs + 1) * outputs;
        let bias = Rows { address: weight.address(), member, row: outputs };
        let matrix = Rows { address: weight.address().floats(outputs), member, row: outputs };
        let [x, y] =
            [(&x, inputs), (&y, outputs)].map(|(memory, width)| Rows::dense(memory.address(), rows, width));
        let kernel = |name, numbers: usize| Kernel {
            name,
            shape: shape_of(precision, format_args!("{rows} x {inputs} x {outputs}")),
            population,
            precision,
            bytes: 4 * population * numbers,
            operations: 2 * population * rows * inputs * outputs,
        };
        let shape = |kernel: Kernel<'static>| Kernel { shape: format!("{name}: {}", kernel.shape), ..kernel };
        // x, weight and bias are read, y is written.
        let forward = shape(kernel("linear_forward", rows * (inputs + outputs) + member));
        self.measure(&forward, || linear.forward(gpu, x, matrix, Some(bias), None, y));
        // The gradient of y and x are read, that of the weight is read and written; the chunks are written and read.
        let of_weight = rows * (inputs + outputs) + 2 * member + 2 * linear.scratch() / population;
        let of_weight = shape(kernel("linear_of_weight", of_weight));
        let scratch = scratch.address();
        self.measure(&of_weight, || linear.of_weight(gpu, x, y, matrix, Some(bias), scratch));
        if of_input {
            // The gradient of y and the weight are read, that of x is written.
            let kernel = shape(kernel("linear_of_input", rows * (inputs + outputs) + inputs * outputs));
            self.measure(&kernel, || linear.of_input(gpu, y, matrix, x, false));
        }
    }

    /// The product with the recurrent weight has 2 x 4 H^2 operations of each window and step, forward and backward. Forward moves
    /// 44 H bytes of them (gates read and written, cell, h before and output written), backward 40 H (gates read and
    /// written, cell and the output's gradient read); where only the last output is wanted, 4 H less. Backward alone would find its
    /// own gradients where activated gates should be, and soon zeros, so both are timed, less forward.
    fn recurrence(
        &self,
        name: &str,
        shape: &LstmShape,
        (number, hidden): (usize, usize),
        population: usize,
        precision: Precision,
    ) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let (windows, steps) = (shape.batch, shape.steps);
        let places = population * windows * steps;
        let last = number + 1 == shape.layers.len();
        let masks = bench.masks(population, 0.2);
        let lstm = PopulationLstm {
            population,
            windows,
            steps,
            hidden,
            outputs: if last { Outputs::Last } else { Outputs::Every },
            precision,
            dropout: masks.site(),
            path: LstmPath::Chosen,
        };
        let gates = bench.random(places * 4 * hidden);
        let recurrent = bench.random(population * 4 * hidden * hidden);
        let [cells, before, output, of_output] = [0; 4].map(|_| bench.random(places * hidden));
        let buffers = LstmBuffers {
            gates: gates.address(),
            recurrent: Rows::dense(recurrent.address(), hidden, 4 * hidden),
            cells: cells.address(),
            before: before.address(),
            output: output.address(),
        };
        let saved = if last { places * 4 * hidden } else { 0 };
        let kernel = |name, bytes: usize| Kernel {
            name,
            shape: shape_of(precision, format_args!("{windows} x {steps} x {hidden}")),
            population,
            precision,
            bytes: places * bytes * hidden + 16 * population * hidden * hidden - saved,
            operations: 8 * places * hidden * hidden,
        };
        let shape = |kernel: Kernel<'static>| Kernel { shape: format!("{name}: {}", kernel.shape), ..kernel };
        let of_output = of_output.address();
        let forward = || lstm.forward(gpu, &buffers, true);
        let there = bench.seconds(forward);
        let and_back = bench.seconds(|| forward().and_then(|()| lstm.backward(gpu, &buffers, of_output)));
        self.print(&shape(kernel("lstm_forward", 44)), there);
        self.print(&shape(kernel("lstm_backward", 40)), and_back - there);
    }

    /// 4 T^2 d operations and 16 T d + 4 T^2 bytes of each head forward, 10 T^2 d and 32 T d + 4 T^2 backward.
    fn attention(&self, shape: &TransformerShape, population: usize, precision: Precision) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let TransformerShape { width, heads, steps, batch, .. } = *shape;
        let what = AttentionShape { length: steps, first: 0, heads, width, causal: true, precision };
        let attention = PopulationAttention { population, windows: batch, shape: what };
        let rows = population * batch * steps;
        let [qkv, of_qkv] = [0; 2].map(|_| bench.random(3 * rows * width));
        let [output, of_output] = [0; 2].map(|_| bench.random(rows * width));
        let weights = bench.random(attention.weights());
        let all_heads = population * batch * heads;
        let kernel = |name, [bytes, operations]: [usize; 2]| Kernel {
            name,
            shape: format!("D: {}", shape_of(precision, format_args!("{batch} x {steps} x {width}"))),
            population,
            precision,
            bytes: bytes * rows * width + 4 * all_heads * steps * steps,
            operations: operations * rows * steps * width,
        };
        let [qkv, weights] = [qkv.address(), weights.address()];
        self.measure(&kernel("attention_forward", [16, 4]), || {
            attention.forward(gpu, qkv, weights, output.address())
        });
        let gradients =
            AttentionGradients { qkv, weights, of_output: of_output.address(), of_qkv: of_qkv.address() };
        self.measure(&kernel("attention_backward", [32, 10]), || attention.backward(gpu, &gradients));
    }

    /// Forward moves 8 bytes a number; backward 12, and as many again of the parts of scale and shift.
    fn norm(&self, population: usize, rows: usize, width: usize) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let matrices = [0; 3].map(|_| bench.random(population * rows * width));
        let [x, y, of_x] = matrices.each_ref().map(|memory| Rows::dense(memory.address(), rows, width));
        let weights = [0; 4].map(|_| bench.random(population * width));
        let [scale, shift, of_scale, of_shift] =
            weights.each_ref().map(|memory| Rows::dense(memory.address(), 1, width));
        let scratch = PopulationNorm::scratch(population, rows, width);
        let room = bench.random(scratch);
        let norm = PopulationNorm { population, rows, width, scale, shift };
        let kernel = |name, bytes: usize| Kernel {
            name,
            shape: format!("D: {rows} x {width}"),
            population,
            precision: Precision::F32,
            bytes,
            operations: 0,
        };
        let numbers = population * rows * width;
        self.measure(&kernel("norm_forward", 8 * numbers), || norm.forward(gpu, x, y));
        let gradients =
            NormGradients { x, of_y: y, of_x, adds: false, of_scale, of_shift, scratch: room.address() };
        self.measure(&kernel("norm_backward", 12 * numbers + 8 * scratch), || norm.backward(gpu, &gradients));
    }

    /// 12 bytes a number: two matrices are read, one is written.
    fn rows(&self, population: usize, rows: usize, [width, middle]: [usize; 2]) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let matrices = [0; 3].map(|_| bench.random(population * rows * middle));
        let masks = bench.masks(population, 0.1);
        let kernel = |name, width: usize| Kernel {
            name,
            shape: format!("D: {rows} x {width}"),
            population,
            precision: Precision::F32,
            bytes: 12 * population * rows * width,
            operations: 0,
        };
        let of_width = |width: usize| {
            let steps = PopulationRows { population, rows, width };
            (steps, matrices.each_ref().map(|memory| Rows::dense(memory.address(), rows, width)))
        };
        let (steps, [values, sum, _]) = of_width(width);
        let site = masks.site();
        self.measure(&kernel("rows_sum, dropout", width), || steps.residual(gpu, site, values, sum, sum));
        let (steps, [kept, of_y, of_z]) = of_width(middle);
        self.measure(&kernel("rows_activation_gradient", middle), || {
            steps.activation_backward(gpu, Activation::Gelu, kept, of_y, of_z)
        });
    }

    /// Outputs and targets are read, the gradient is written.
    fn loss(&self, name: &str, population: usize, [rows, horizons]: [usize; 2]) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let [outputs, targets, of_outputs] = [0; 3].map(|_| bench.random(population * rows * horizons));
        let part = LossPart { kind: LossKind::Mse, weight: 1.0, parameter: 0.0, levels: Vec::new() };
        let table = loss_table(&[part], &vec![0.0; horizons]).repeat(population);
        let table = gpu.upload(&table).unwrap();
        let active = gpu.upload(&vec![rows as i32; population]).unwrap();
        let alive = gpu.upload(&vec![1_i32; population]).unwrap();
        let shares = gpu.upload(&vec![1.0_f32; population]).unwrap();
        let (pass, sums) = (gpu.zeros::<i32>(1).unwrap(), gpu.zeros::<f64>(population).unwrap());
        let loss = PopulationLoss {
            population,
            rows,
            horizons,
            columns: horizons,
            outputs: outputs.address(),
            targets: targets.address(),
            table: table.address(),
            active: active.address(),
            shares: shares.address(),
            pass: pass.address(),
            step: pass.address(),
            loss: sums.address(),
            alive: alive.address(),
            of_outputs: of_outputs.address(),
        };
        let kernel = Kernel {
            name: "loss_of_outputs",
            shape: format!("{name}: {rows} x {horizons}"),
            population,
            precision: Precision::F32,
            bytes: 12 * population * rows * horizons,
            operations: 0,
        };
        self.measure(&kernel, || loss.launch(gpu));
    }

    /// 32 bytes a weight: the norm reads its gradient; the step reads it again, and reads and writes weight and two moments.
    fn adam(&self, name: &str, population: usize, count: usize) {
        let (bench, gpu) = (self.bench, &self.bench.gpu);
        let [weights, gradients] = [0; 2].map(|_| bench.random(population * count));
        let moments = gpu.zeros::<f32>(2 * population * count).unwrap();
        let scratch = gpu.zeros::<f64>(PopulationAdam::scratch(population, count)).unwrap();
        let step = AdamWStep {
            rate: 1e-6,
            decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            step: 100,
            gradient_factor: 1.0,
        };
        let numbers = gpu.upload(&numbers(Some(&step), Some(1.0)).repeat(population)).unwrap();
        let (counter, alive) = (gpu.zeros::<i32>(1).unwrap(), gpu.upload(&vec![1_i32; population]).unwrap());
        let adam = PopulationAdam {
            population,
            count,
            weights: weights.address(),
            moments: moments.address(),
            gradients: gradients.address(),
            scratch: scratch.address(),
            numbers: numbers.address(),
            step: counter.address(),
            alive: alive.address(),
        };
        let kernel = Kernel {
            name: "gradient_squares, adam_step",
            shape: format!("{name}: {count}"),
            population,
            precision: Precision::F32,
            bytes: 32 * population * count,
            operations: 0,
        };
        self.measure(&kernel, || adam.launch(gpu));
    }
}

fn shape_of(precision: Precision, sizes: std::fmt::Arguments) -> String {
    format!("{sizes}, {}", name_of(precision))
}
