//! Tables of field values: good ones, and one step away from good.
