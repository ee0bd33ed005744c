//! Holds the example programs; see the files beside this folder.
