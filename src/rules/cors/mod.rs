//! What browsers ask for before and after a request across origins.
