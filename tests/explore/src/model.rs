//! What the store should hold: every state that was accepted, and the newest one that was acknowledged as durable.

use std::collections::BTreeMap;
use std::rc::Rc;

/// Contents of the tables; `None` for a table that is not there. Values are numbers from which the bytes follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Table `a`: keys of 8 bytes, values of 16.
    pub a: Option<BTreeMap<u64, u64>>,
    /// Table `b`: keys of 5 bytes, values of 300, so that slots lie across sectors.
    pub b: Option<BTreeMap<u64, u64>>,
    /// Cask table `c`: keys and values of many lengths.
    pub c: Option<BTreeMap<u64, u64>>,
}

/// Accepted states, oldest first.
#[derive(Debug, Clone)]
pub struct Model {
    states: Vec<Rc<State>>,
    durable: usize,
}

impl Model {
    /// Begins with a state that is durable.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { states: vec![Rc::new(state)], durable: 0 }
    }

    /// The newest state.
    #[must_use]
    pub fn last(&self) -> &State {
        self.states.last().expect("there is a first state")
    }

    /// A change is attempted: from now on it may be found.
    pub fn accept(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.last().clone();
        change(&mut state);
        self.states.push(Rc::new(state));
    }

    /// The last change was refused: it must not be found.
    pub fn refuse(&mut self) {
        assert!(self.states.len() > self.durable + 1);
        self.states.pop();
    }

    /// Everything so far was acknowledged as durable.
    pub fn acknowledge(&mut self) {
        self.durable = self.states.len() - 1;
    }

    /// Numbers that tell this model from others of the same life.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        (self.durable, self.states.len())
    }

    /// Whether `found` is the acknowledged state or a later accepted one.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn judge(&self, found: &State) -> Result<(), String> {
        if self.states[self.durable..].iter().any(|state| **state == *found) {
            return Ok(());
        }
        let earlier = self.states[..self.durable].iter().rposition(|state| **state == *found);
        Err(match earlier {
            Some(at) => format!(
                "acknowledged writes are lost: state {at} of {}, durable {}",
                self.states.len() - 1,
                self.durable
            ),
            None => format!(
                "a state that never was: {found:?}; durable was {:?}, last {:?}",
                self.states[self.durable],
                self.last()
            ),
        })
    }
}

/// Bytes of a value of `len` bytes that stand for `n`.
#[must_use]
pub fn value(n: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![n as u8 ^ 0x5a; len];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}
