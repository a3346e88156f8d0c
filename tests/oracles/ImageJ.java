/** What ImageJ itself writes, and what it says of a file: `make FOLDER`, or `tell FILE...`. */

import ij.CompositeImage;
import ij.IJ;
import ij.ImagePlus;
import ij.ImageStack;
import ij.gui.Line;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.io.FileSaver;
import ij.io.Opener;
import ij.measure.Calibration;
import ij.process.ByteProcessor;
import ij.process.ColorProcessor;
import ij.process.FloatProcessor;
import ij.process.ImageProcessor;
import ij.process.LUT;
import ij.process.ShortProcessor;
import java.awt.Color;
import java.io.File;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

public class ImageJ {
    static final int WIDTH = 40, HEIGHT = 32;
    static final Random RANDOM = new Random(7);

    public static void main(String[] arguments) {
        if (arguments[0].equals("make")) {
            make(arguments[1]);
            return;
        }
        for (int i = 1; i < arguments.length; i++) {
            tell(arguments[i]);
        }
    }

    static ImageProcessor noise(int bits) {
        ImageProcessor made = bits == 8 ? new ByteProcessor(WIDTH, HEIGHT)
            : bits == 16 ? new ShortProcessor(WIDTH, HEIGHT)
            : bits == 24 ? new ColorProcessor(WIDTH, HEIGHT) : new FloatProcessor(WIDTH, HEIGHT);
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            if (bits == 32) {
                made.setf(i, (float) (100 + 9 * RANDOM.nextGaussian()));
            } else if (bits == 24) {
                made.set(i, RANDOM.nextInt(1 << 24));
            } else {
                made.set(i, 60 + RANDOM.nextInt(90));
            }
        }
        return made;
    }

    static ImagePlus stack(int bits, int channels, int slices, int frames) {
        ImageStack planes = new ImageStack(WIDTH, HEIGHT);
        for (int i = 0; i < channels * slices * frames; i++) {
            planes.addSlice("plane \u00b5 " + i, noise(bits));
        }
        ImagePlus image = new ImagePlus("made", planes);
        image.setDimensions(channels, slices, frames);
        image.setOpenAsHyperStack(true);
        return image;
    }

    static ImagePlus calibrated(ImagePlus image, String unit, String timeUnit) {
        Calibration known = image.getCalibration();
        known.setUnit(unit);
        known.pixelWidth = 0.125;
        known.pixelHeight = 0.25;
        known.pixelDepth = 1.5;
        known.frameInterval = 2.5;
        known.setTimeUnit(timeUnit);
        known.xOrigin = 3;
        known.yOrigin = 4;
        return image;
    }

    static void save(ImagePlus image, String folder, String name) {
        FileSaver saver = new FileSaver(image);
        String path = folder + File.separator + name + ".tif";
        boolean many = image.getStackSize() > 1;
        boolean written = many ? saver.saveAsTiffStack(path) : saver.saveAsTiff(path);
        if (!written) {
            throw new IllegalStateException(path);
        }
    }

    static void make(String folder) {
        CompositeImage composite = new CompositeImage(stack(16, 2, 3, 4), CompositeImage.COMPOSITE);
        calibrated(composite, "um", "sec");
        composite.setChannelLut(LUT.createLutFromColor(Color.MAGENTA), 1);
        composite.setChannelLut(LUT.createLutFromColor(Color.GREEN), 2);
        for (int channel = 1; channel <= 2; channel++) {
            composite.setPositionWithoutUpdate(channel, 1, 1);
            composite.setDisplayRange(50 + channel, 140 + channel);
        }
        composite.setProperty("Info", "Objective: 63\u00d7 / 1.4 \u2013 \u00d6l\nStage = 12.5");
        composite.setProp("dish", "3");
        composite.setRoi(new Roi(4, 5, 12, 10));
        composite.setOverlay(new Overlay(new Line(1, 2, 20, 22)));
        save(composite, folder, "hyperstack");

        for (String unit : new String[] {"nm", "mm", "inch", "pixel", "cm"}) {
            save(calibrated(stack(8, 1, 3, 2), unit, "min"), folder, "unit_" + unit);
        }
        for (String unit : new String[] {"ms", "hour", "day"}) {
            save(calibrated(stack(32, 1, 1, 5), "um", unit), folder, "time_" + unit);
        }
        ImagePlus signed = stack(16, 1, 3, 1);
        signed.getCalibration().setSigned16BitCalibration();
        save(signed, folder, "signed");
        ImagePlus density = new ImagePlus("density", noise(8));
        double[] curve = {0.1, 2.5};
        density.getCalibration().setFunction(Calibration.STRAIGHT_LINE, curve, "OD");
        save(density, folder, "density");
        ImagePlus table = stack(8, 1, 3, 1);
        table.getStack().setColorModel(LUT.createLutFromColor(Color.CYAN));
        table.getProcessor().setColorModel(LUT.createLutFromColor(Color.CYAN));
        save(table, folder, "table");
        save(stack(24, 1, 3, 1), folder, "colours");
        save(new ImagePlus("plane", noise(32)), folder, "plane");
    }

    static void tell(String path) {
        say("file", path);
        ImagePlus image = new Opener().openImage(path);
        Calibration known = image.getCalibration();
        int[] lengths = image.getDimensions();
        say("dimensions", Arrays.toString(lengths) + " " + image.getBitDepth());
        say("pixel", known.pixelWidth + " " + known.pixelHeight + " " + known.pixelDepth);
        say("unit", known.getUnit());
        say("time", known.frameInterval + " " + known.getTimeUnit());
        say("origin", known.xOrigin + " " + known.yOrigin + " " + known.zOrigin);
        String curve = Arrays.toString(known.getCoefficients());
        say("values", known.getFunction() + " " + curve + " " + known.getValueUnit());
        say("mode", "" + image.getDisplayMode());
        for (int channel = 1; channel <= lengths[2]; channel++) {
            image.setPositionWithoutUpdate(channel, 1, 1);
            LUT table = image.isComposite() ? ((CompositeImage) image).getChannelLut(channel)
                : image.getBitDepth() == 24 ? null : image.getProcessor().getLut();
            say("table " + channel, table == null ? "" : "" + Arrays.hashCode(table.getBytes()));
            say("range " + channel, table == null ? "" : table.min + " " + table.max);
        }
        // A single plane is labelled with its notes.
        if (image.getStackSize() > 1) {
            say("labels", "" + Arrays.toString(image.getStack().getSliceLabels()).hashCode());
        }
        say("region", "" + image.getRoi());
        say("overlay", image.getOverlay() == null ? "none" : image.getOverlay().get(0).toString());
        say("dish", "" + image.getProp("dish"));
        String notes = String.valueOf(image.getProperty("Info"));
        say("notes", notes.split("\n")[0]);
        double sum = 0;
        for (int plane = 1; plane <= image.getStackSize(); plane++) {
            ImageProcessor pixels = image.getStack().getProcessor(plane);
            for (int i = 0; i < pixels.getPixelCount(); i++) {
                sum += image.getBitDepth() == 24 ? pixels.get(i) & 0xffffff : pixels.getf(i);
            }
        }
        say("sum", String.format(Locale.ROOT, "%.3f", sum));
    }

    static void say(String name, String value) {
        System.out.println(name + "\t" + value.replace("\n", " "));
    }
}
