// What Bio-Formats reads of each file named on stdin, a line of JSON for each; see expected_images.py.
// java -cp bioformats_package.jar BioFormats.java < NAMES

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import loci.common.DataTools;
import loci.common.DebugTools;
import loci.common.services.ServiceFactory;
import loci.formats.ChannelFiller;
import loci.formats.FormatTools;
import loci.formats.ImageReader;
import loci.formats.meta.IMetadata;
import loci.formats.services.OMEXMLService;
import ome.units.UNITS;
import ome.units.quantity.Length;
import ome.units.quantity.Time;

public class BioFormats {
  public static void main(String[] arguments) throws Exception {
    DebugTools.setRootLevel("OFF");
    BufferedReader names = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String name = names.readLine(); name != null; name = names.readLine()) {
      String answer;
      try {
        answer = images(name);
      } catch (Throwable error) {
        answer = "\"error\": " + quoted(error.toString());
      }
      System.out.println("{\"file\": " + quoted(name) + ", " + answer + "}");
    }
  }

  static String images(String name) throws Exception {
    OMEXMLService service = new ServiceFactory().getInstance(OMEXMLService.class);
    IMetadata metadata = service.createOMEXMLMetadata();
    List<String> found = new ArrayList<>();
    try (ImageReader reader = new ImageReader()) {
      reader.setMetadataStore(metadata);
      reader.setGroupFiles(name.contains("multifile"));
      reader.setId(name);
      for (int series = 0; series < reader.getSeriesCount(); series++) {
        reader.setSeries(series);
        found.add(image(reader, metadata, series));
      }
      return "\"format\": " + quoted(reader.getFormat()) + ", \"images\": [" + String.join(", ", found) + "]";
    }
  }

  static String image(ImageReader reader, IMetadata metadata, int series) throws Exception {
    double[] sums = new double[reader.getSizeC()];
    long each = 0;
    int samples = reader.getRGBChannelCount();
    for (int plane = 0; plane < reader.getImageCount(); plane++) {
      double[] part = sums(reader, plane, samples);
      int first = reader.getZCTCoords(plane)[1] * samples;
      for (int sample = 0; sample < samples; sample++) {
        sums[first + sample] += part[sample];
      }
    }
    each = (long) reader.getSizeX() * reader.getSizeY() * reader.getSizeZ() * reader.getSizeT();
    List<String> means = new ArrayList<>();
    for (double sum : sums) {
      means.add(Double.toString(sum / each));
    }
    List<String> channels = new ArrayList<>();
    for (int channel = 0; channel < metadata.getChannelCount(series); channel++) {
      channels.add(quoted(metadata.getChannelName(series, channel)));
    }
    Time step = metadata.getPixelsTimeIncrement(series);
    return "{\"name\": " + quoted(metadata.getImageName(series))
        + ", \"sizes\": {\"T\": " + reader.getSizeT() + ", \"Z\": " + reader.getSizeZ()
        + ", \"C\": " + reader.getSizeC() + ", \"Y\": " + reader.getSizeY()
        + ", \"X\": " + reader.getSizeX() + "}, \"samples\": " + samples
        + ", \"dtype\": " + quoted(FormatTools.getPixelTypeString(reader.getPixelType()))
        + ", \"um\": [" + um(metadata.getPixelsPhysicalSizeX(series)) + ", "
        + um(metadata.getPixelsPhysicalSizeY(series)) + ", "
        + um(metadata.getPixelsPhysicalSizeZ(series)) + "]"
        + ", \"step_s\": " + (step == null ? "null" : step.value(UNITS.SECOND))
        + ", \"channels\": [" + String.join(", ", channels) + "]"
        + ", \"means\": [" + String.join(", ", means) + "]}";
  }

  /** Sums the pixels of a plane, for each of its samples. */
  static double[] sums(ImageReader reader, int plane, int samples) throws Exception {
    byte[] bytes = reader.openBytes(plane);
    int type = reader.getPixelType();
    int size = FormatTools.getBytesPerPixel(type);
    boolean little = reader.isLittleEndian();
    boolean floating = FormatTools.isFloatingPoint(type);
    boolean signed = FormatTools.isSigned(type);
    int count = bytes.length / size;
    double[] sums = new double[samples];
    for (int pixel = 0; pixel < count; pixel++) {
      int sample = reader.isInterleaved() ? pixel % samples : pixel / (count / samples);
      double value;
      if (floating) {
        value = size == 4 ? DataTools.bytesToFloat(bytes, pixel * 4, little)
            : DataTools.bytesToDouble(bytes, pixel * 8, little);
      } else {
        long bits = DataTools.bytesToLong(bytes, pixel * size, size, little);
        long range = size == 8 ? 0 : 1L << (8 * size);
        value = signed && size < 8 && bits >= range / 2 ? bits - range
            : !signed && bits < 0 ? bits + range : bits;
      }
      sums[sample] += value;
    }
    return sums;
  }

  static String um(Length length) {
    Number value = length == null ? null : length.value(UNITS.MICROMETER);
    return value == null ? "null" : value.toString();
  }

  static String quoted(String text) {
    if (text == null) {
      return "null";
    }
    StringBuilder found = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      found.append(c < 32 || c > 126 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : c);
    }
    return found.append('"').toString();
  }
}
