//! `kind = "linear"`: a plant in state space, such as a motor, a pendulum or a spring.
//!
//! ```text
//! dx/dt = A x + B u,    y = C x + D u + offsets
//! ```
//!
//! With `u` constant during a step, the step is the exponential series up to the fourth
//! order, as in the classical Runge-Kutta method: stable if each pole is slower than 2.7 per
//! step. States are limited to 1e9, so that an unstable plant does not overflow.

use heapless::Vec;

use super::prelude::*;

/// Maximum number of states, of inputs and of outputs.
const MOST: usize = 8;
/// Limit of the magnitude of a state.
const LIMIT: f64 = 1e9;

/// A matrix, row by row.
type Matrix = Vec<f64, { MOST * MOST }>;

/// The plant.
#[derive(Clone, Debug)]
pub struct Linear {
    inputs: Vec<Output<f64>, MOST>,
    outputs: Vec<Input<f64>, MOST>,
    a: Matrix,
    b: Matrix,
    c: Matrix,
    d: Matrix,
    offsets: Vec<f64, MOST>,
    state: Vec<f64, MOST>,
    /// A disturbance that is added to the state once, and the remaining time until then, s.
    disturbance: Vec<f64, MOST>,
    disturb_s: Option<f64>,
}

/// The row `row` of `matrix` times `vector`.
fn product(matrix: &[f64], row: usize, vector: &[f64]) -> f64 {
    let row = matrix.chunks_exact(vector.len()).nth(row);
    let terms = row.unwrap_or_default().iter().zip(vector);
    terms.map(|(factor, value)| factor * value).sum()
}

impl Linear {
    fn step(&mut self, drive: &[f64], step_s: f64) {
        let rows = 0..self.state.len();
        let slope = |row| product(&self.a, row, &self.state) + product(&self.b, row, drive);
        let mut term: Vec<f64, MOST> = rows.clone().map(slope).collect();
        let mut factor = step_s;
        self.add(&term, factor);
        for order in 2..=4 {
            factor *= step_s / f64::from(order);
            term = (rows.clone().map(|row| product(&self.a, row, &term))).collect();
            self.add(&term, factor);
        }
    }

    fn add(&mut self, term: &[f64], factor: f64) {
        for (state, term) in self.state.iter_mut().zip(term) {
            *state = (*state + term * factor).clamp(-LIMIT, LIMIT);
        }
    }
}

impl Plant for Linear {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let drive: Vec<f64, MOST> = self.inputs.iter().map(|input| world.get(*input)).collect();
        let step_s = step.as_secs_f64();
        self.step(&drive, step_s);
        self.disturb_s = self.disturb_s.map(|left| left - step_s);
        // At the nearest step.
        if self.disturb_s.is_some_and(|left| left < 0.5 * step_s) {
            self.disturb_s = None;
            let disturbance = self.disturbance.clone();
            self.add(&disturbance, 1.0);
        }
        for (row, (output, offset)) in self.outputs.iter().zip(&self.offsets).enumerate() {
            let value = product(&self.c, row, &self.state) + product(&self.d, row, &drive);
            world.put(*output, value + offset);
        }
    }
}

/// The matrix of `key` with `rows` times `columns` numbers; zeros if it is absent and not
/// `needed`.
fn matrix<const N: usize>(
    table: &mut PlantTable<'_, '_>,
    key: &'static str,
    (rows, columns): (usize, usize),
    needed: bool,
) -> Result<Vec<f64, N>, ConfigError> {
    if !needed && !table.has(key) {
        return Ok((0..rows * columns).map(|_| 0.0).collect());
    }
    let numbers = table.numbers(key, -1e9..=1e9, N)?;
    if numbers.len() != rows * columns {
        let what = format!("`{key}` has {} entries", numbers.len());
        let fix = format!("give {rows} rows of {columns} numbers in one list");
        return Err(table.error_at(key, what, fix));
    }
    Ok(numbers.into_iter().collect())
}

impl PlantKind for Linear {
    const KIND: &'static str = "linear";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let inputs = table.outputs_up_to("inputs", ANY_UNIT, MOST)?;
        let outputs = table.inputs_up_to("outputs", ANY_UNIT, MOST)?;
        let state: Vec<_, MOST> = table
            .numbers("start", -LIMIT..=LIMIT, MOST)?
            .into_iter()
            .collect();
        for (key, count) in [
            ("inputs", inputs.len()),
            ("outputs", outputs.len()),
            ("start", state.len()),
        ] {
            if count == 0 {
                return Err(table.error_at(key, format!("`{key}` is empty"), "add an entry"));
            }
        }
        let (n, ins, outs) = (state.len(), inputs.len(), outputs.len());
        let disturbed = table.has("disturbance");
        let disturb_s = if disturbed {
            Some(table.number("disturb_at_s", 0.0..=1e9)?)
        } else {
            table.without("disturb_at_s", "it needs `disturbance`")?;
            None
        };
        Ok(Self {
            a: matrix(table, "a", (n, n), true)?,
            b: matrix(table, "b", (n, ins), true)?,
            c: matrix(table, "c", (outs, n), true)?,
            d: matrix(table, "d", (outs, ins), false)?,
            offsets: matrix(table, "offsets", (outs, 1), false)?,
            disturbance: matrix(table, "disturbance", (n, 1), false)?,
            disturb_s,
            inputs: inputs.into_iter().collect(),
            outputs: outputs.into_iter().collect(),
            state,
        })
    }
}
