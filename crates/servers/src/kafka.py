# The test cluster that librdkafka has inside, as a process: it speaks Kafka's protocol over TCP, with consumer groups, in memory.
# The last line of the file given is its address. USR1 makes it refuse and drop all connections, USR2 accept them again.
import ctypes, signal, sys

lib = ctypes.CDLL("librdkafka.so.1")
lib.rd_kafka_new.restype = ctypes.c_void_p
lib.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
lib.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
lib.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
lib.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
for name in ["rd_kafka_mock_broker_set_down", "rd_kafka_mock_broker_set_up"]:
    getattr(lib, name).argtypes = [ctypes.c_void_p, ctypes.c_int32]

why = ctypes.create_string_buffer(512)
client = lib.rd_kafka_new(0, None, why, len(why))
if not client:
    sys.exit(why.value.decode())
cluster = lib.rd_kafka_mock_cluster_new(client, 1)

# The calls wait for another thread, so they are made outside of any handler.
signals = {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
with open(sys.argv[1], "w") as file:
    file.write(lib.rd_kafka_mock_cluster_bootstraps(cluster).decode() + "\n")
while True:
    if signal.sigwait(signals) == signal.SIGUSR1:
        lib.rd_kafka_mock_broker_set_down(cluster, 1)
    else:
        lib.rd_kafka_mock_broker_set_up(cluster, 1)
