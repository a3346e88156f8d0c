// Denoise the open image with g2g desktop, and show the result with its calibration.
// Plugins > Macros > Run. Needs the command g2g (https://imagej.net/ij/developer/macro/functions.html#exec).

if (nImages == 0) exit("Open an image first.");
#@ String (label="Command", value="g2g") command
#@ File (label="Model (.g2g); none to train on this image", required=false) model
#@ String (label="Preset, without a model", choices={"instant", "quick", "balanced"}, value="quick") preset

title = getTitle();
folder = getDirectory("temp") + "g2g_" + getTime() + File.separator;
File.makeDirectory(folder);
noisy = folder + "noisy.tif";
denoised = folder + "denoised.tif";

// A copy, so that the image stays what it is: neither its name nor its state changes.
run("Duplicate...", "title=g2g_input duplicate");
saveAs("Tiff", noisy);
close();

showStatus("g2g denoises " + title + "...");
if (model != "" && model != 0 && File.exists(model)) {
    said = exec(command, "denoise", noisy, "--model", model, "--output", denoised);
} else {
    said = exec(command, "run", noisy, "--preset", preset, "--output", denoised);
}
if (!File.exists(denoised)) exit("g2g gave no result. Run it in a terminal to see why:\n" + said);

open(denoised);
rename(title + " denoised");
File.delete(noisy);
File.delete(denoised);
File.delete(folder);
