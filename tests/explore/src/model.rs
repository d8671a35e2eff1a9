//! What the store should hold: every state that was accepted, and the newest one that was acknowledged as durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

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

/// Accepted states, oldest first. A clone is the same model once more, so that it can be asked while a store is at work;
/// [`Model::snapshot`] is a copy.
#[derive(Debug, Clone)]
pub struct Model {
    shared: Arc<Mutex<History>>,
}

#[derive(Debug, Clone)]
struct History {
    states: Vec<Arc<State>>,
    durable: usize,
    contradiction: Option<String>,
}

impl Model {
    /// Begins with a state that is durable.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self::of(History { states: vec![Arc::new(state)], durable: 0, contradiction: None })
    }

    fn of(history: History) -> Self {
        Self { shared: Arc::new(Mutex::new(history)) }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.shared.lock().expect("nothing panics while it holds the history")
    }

    /// The model as it is now, which later changes do not reach.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self::of(self.history().clone())
    }

    /// The newest state.
    #[must_use]
    pub fn last(&self) -> Arc<State> {
        self.history().last()
    }

    /// A change is attempted: from now on it may be found.
    pub fn accept(&mut self, change: impl FnOnce(&mut State)) {
        let mut history = self.history();
        let mut state = State::clone(&history.last());
        change(&mut state);
        history.states.push(Arc::new(state));
    }

    /// The last change was refused: it must not be found.
    pub fn refuse(&mut self) {
        let mut history = self.history();
        assert!(history.states.len() > history.durable + 1);
        history.states.pop();
    }

    /// Everything so far was acknowledged as durable.
    pub fn acknowledge(&mut self) {
        let mut history = self.history();
        history.durable = history.states.len() - 1;
    }

    /// The first `states` states were acknowledged as durable, as [`Self::position`] counts them.
    pub fn acknowledge_first(&self, states: usize) {
        let mut history = self.history();
        history.durable = history.durable.max(states - 1);
    }

    /// A recovery found `found`: that is durable now, and what was accepted after it never was.
    pub fn recovered(&mut self, found: &State) {
        let mut history = self.history();
        if let Err(what) = history.judge(found) {
            history.contradiction.get_or_insert(what);
            return;
        }
        let at = history.states.iter().rposition(|state| **state == *found);
        history.durable = at.unwrap_or(history.durable);
        let len = history.durable + 1;
        history.states.truncate(len);
    }

    /// A running store holds `found`, which has to be the newest state.
    pub fn served(&self, found: &State) {
        let mut history = self.history();
        let last = history.last();
        if *last != *found {
            let what = format!("the running store served {found:?}; the last state is {last:?}");
            history.contradiction.get_or_insert(what);
        }
    }

    /// A running store contradicted itself: no verdict is good any more.
    pub fn contradict(&self, what: String) {
        self.history().contradiction.get_or_insert(what);
    }

    /// Which state is durable, and how many there are: numbers that tell this model from others of the same life.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let history = self.history();
        (history.durable, history.states.len())
    }

    /// Whether `found` is the acknowledged state or a later accepted one.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn judge(&self, found: &State) -> Result<(), String> {
        self.history().judge(found)
    }
}

impl History {
    fn last(&self) -> Arc<State> {
        Arc::clone(self.states.last().expect("there is a first state"))
    }

    fn judge(&self, found: &State) -> Result<(), String> {
        if let Some(what) = &self.contradiction {
            return Err(what.clone());
        }
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
