//! Genba.
