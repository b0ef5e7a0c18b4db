//! The filter as a module: its callbacks are exported from here.

use back_to_origin as _;
