// The entry of all pages: what they share, then what the page itself is.
import { frame } from "./frame.js";
import { acts } from "./actions.js";
import { localise, keepTime } from "./times.js";
import { fleet } from "./fleet.js";
import { host } from "./host.js";
import { images } from "./images.js";

frame();
keepTime();
localise(document);
acts();
({ fleet, host, images })[document.body.dataset.page]?.();
