//! Every planted fault is caught.
