// The entry of all pages: what they share, then what the page itself is.
import { frame } from "./frame.js";
import { localise, keepTime } from "./times.js";
import { fleet } from "./fleet.js";
import { host } from "./host.js";
import { images } from "./images.js";
import { activity } from "./activity.js";
import { settings } from "./settings.js";
import { sheets } from "./sheets.js";

frame();
keepTime();
localise(document);
sheets();
({ fleet, host, images, activity, settings })[document.body.dataset.page]?.();
