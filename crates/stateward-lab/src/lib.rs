//! AWS on loopback with every layer of access control.
