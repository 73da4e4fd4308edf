//! End-to-end tests of the real binary against real servers. How they are run: `tests/README.md`.

mod servers;
