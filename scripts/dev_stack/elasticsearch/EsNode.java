import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Starts one Elasticsearch node; each argument is a setting, name=value. */
public final class EsNode {
    private static final long SECONDS_TO_CLOSE = 10;

    public static void main(String[] arguments) throws InterruptedException {
        PrintStream terminal = System.err; // saved, because configuring the log replaces System.err
        try {
            Environment environment = environment(arguments);
            configureLog(environment);
            Node node = new Node(environment, loadModules(environment));
            Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node, terminal)));
            node.start();
        } catch (Throwable failure) {
            failure.printStackTrace(terminal);
            System.exit(1);
        }
        Thread.currentThread().join();
    }

    private static Environment environment(String[] arguments) {
        Settings.Builder settings = Settings.builder();
        for (String argument : arguments) {
            String[] pair = argument.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Path config = Path.of(settings.get("path.home")).resolve("config");
        return InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), config, () -> "node");
    }

    private static void configureLog(Environment environment) throws Exception {
        LogConfigurator.registerErrorListener();
        LogConfigurator.setClusterName(environment.settings().get("cluster.name"));
        LogConfigurator.setNodeName(environment.settings().get("node.name"));
        LogConfigurator.configure(environment, true);
    }

    private static PluginsLoader loadModules(Environment environment) {
        boolean exportToModules = false; // exports between Java modules fail for a server on the class path
        return PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir(), false), Set.of(), Map.of(), exportToModules);
    }

    private static void close(Node node, PrintStream terminal) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(SECONDS_TO_CLOSE, TimeUnit.SECONDS);
        } catch (Exception failure) {
            failure.printStackTrace(terminal);
        }
    }
}
