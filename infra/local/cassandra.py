"""Cassandra as one node that is its own seed and waits for nobody when it starts."""

from pathlib import Path

from infra.local import probes
from infra.local.errors import LocalServerError
from infra.local.ports import LOOPBACK
from infra.local.processes import Launch
from infra.local.server import Site

_EXPORTS = (
    *("java.base/jdk.internal.misc", "java.base/java.lang.ref"),
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    *("java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server", "java.sql/java.sql", "jdk.unsupported/sun.misc"),
)
_OPENS = (
    *("java.base/java.lang", "java.base/java.lang.module", "java.base/java.io", "java.base/java.nio"),
    *("java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic"),
    *("java.base/jdk.internal.loader", "java.base/jdk.internal.ref", "java.base/jdk.internal.reflect"),
    *("java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.util.jar"),
    *("java.base/sun.nio.ch", "jdk.management/com.sun.management.internal"),
)
_JVM = ("-Xms512m", "-Xmx768m", "-XX:+UseSerialGC", "-Xss256k", "-Djdk.attach.allowAttachSelf=true")
# Other nodes would be waited for; there are none.
_SINGLE_NODE = (
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=100",
    "-Dcassandra-foreground=true",
)

_YAML = """\
cluster_name: playhead-local
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{host}:{storage_port}"
listen_address: {host}
storage_port: {storage_port}
rpc_address: {host}
native_transport_port: {port}
data_file_directories: ["{home}/data"]
commitlog_directory: "{home}/commitlog"
saved_caches_directory: "{home}/saved_caches"
hints_directory: "{home}/hints"
cdc_raw_directory: "{home}/cdc_raw"
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_total_space: 1024MiB
disk_failure_policy: die
commit_failure_policy: die
auto_snapshot: false
"""

_LOGGING = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
  <logger name="org.apache.cassandra" level="WARN"/>
  <logger name="org.apache.cassandra.service.CassandraDaemon" level="INFO"/>
  <logger name="org.apache.cassandra.transport.Server" level="INFO"/>
</configuration>
"""


class Cassandra:
    """The node; "cassandra" is the port for CQL, "cassandra_storage" the one that other nodes would use."""

    name = "cassandra"
    port_names = ("cassandra", "cassandra_storage")
    needs_java = True

    def prepare(self, site: Site) -> Launch:
        """Write the configuration; Cassandra creates its directories and system tables itself."""
        jars = site.resolved(self.name)
        temporary = site.home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        config = site.home / "cassandra.yaml"
        config.write_text(cassandra_yaml(site.home, site.ports["cassandra"], site.ports["cassandra_storage"]))
        logging = site.home / "logback.xml"
        logging.write_text(_LOGGING)
        command = (
            *(str(site.jre), *_JVM, *_module_flags(), f"-javaagent:{_jamm(jars)}", *_SINGLE_NODE),
            f"-Djava.io.tmpdir={temporary}",
            f"-Dcassandra.config={config.as_uri()}",
            f"-Dcassandra.storagedir={site.home}",
            f"-Dlogback.configurationFile={logging}",
            *("-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"),
        )
        return Launch(command, site.home)

    def serves(self, port: int) -> bool:
        """Whether CQL is spoken; Cassandra opens that port last."""
        return probes.cassandra_serves(port)


def cassandra_yaml(home: Path, port: int, storage_port: int) -> str:
    """The node's configuration for this directory and these ports."""
    return _YAML.format(host=LOOPBACK, home=home, port=port, storage_port=storage_port)


def _module_flags() -> tuple[str, ...]:
    exports = tuple(f"--add-exports={module}=ALL-UNNAMED" for module in _EXPORTS)
    return exports + tuple(f"--add-opens={module}=ALL-UNNAMED" for module in _OPENS)


def _jamm(jars: Path) -> Path:
    """The agent by which Cassandra measures its objects."""
    for jar in sorted(jars.glob("jamm-*.jar")):
        return jar
    raise LocalServerError(f"Cassandra's artefacts in {jars} lack the jamm agent: remove that directory.")
