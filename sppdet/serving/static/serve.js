// The page of `sppdet serve`.

import { detect } from "./api.js";
import { byId } from "./elements.js";
import { findingsIn } from "./findings.js";

findingsIn(byId("try-place"), detect);
