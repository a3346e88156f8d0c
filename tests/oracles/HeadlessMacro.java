import ij.IJ;
import ij.Menus;
import ij.macro.Interpreter;
import java.awt.GraphicsEnvironment;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Hashtable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Runs a macro without a screen: {@code java -Djava.awt.headless=true -cp ij.jar HeadlessMacro.java FILE}. */
public class HeadlessMacro {
    public static void main(String[] arguments) throws Exception {
        // ImageJ 1 makes its table of commands with its menus, which need a screen; Fiji patches that away.
        Field commands = Menus.class.getDeclaredField("pluginsTable");
        commands.setAccessible(true);
        commands.set(null, commandsOf(new String(IJ.class.getResourceAsStream("/IJ_Props.txt").readAllBytes())));
        Interpreter interpreter = new Interpreter();
        interpreter.setIgnoreErrors(true);
        interpreter.runBatchMacro(Files.readString(Path.of(arguments[0])), null);
        if (interpreter.wasError()) {
            System.err.println(interpreter.getErrorMessage());
            System.exit(1);
        }
        System.out.println("ImageJ " + IJ.getVersion() + (GraphicsEnvironment.isHeadless() ? ", headless" : ""));
        System.exit(0);
    }

    static Hashtable<String, String> commandsOf(String properties) {
        Hashtable<String, String> found = new Hashtable<>();
        Matcher line = Pattern.compile("^\\w+=\"([^\"]+)\",(ij\\.\\S.*?)\\s*$", Pattern.MULTILINE).matcher(properties);
        while (line.find()) {
            found.put(line.group(1), line.group(2));
        }
        found.put("Duplicate...", "ij.plugin.Duplicator"); // one of those that are in the code alone
        return found;
    }
}
