"""An Elasticsearch node from Maven jars and the Java runtime of a wheel."""
