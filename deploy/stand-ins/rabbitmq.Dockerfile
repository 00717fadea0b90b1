# Stands in for rabbitmq:4.*. The server itself reads RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS.
FROM debian:12-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq /etc/rabbitmq/rabbitmq-env.conf \
    && install -d -o rabbitmq -g rabbitmq -m 700 /var/lib/rabbitmq \
    && install -d -o rabbitmq -g rabbitmq /etc/rabbitmq /etc/rabbitmq/conf.d
COPY rabbitmq-entrypoint /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/rabbitmq/bin:$PATH \
    HOME=/var/lib/rabbitmq \
    LANG=C.UTF-8 \
    RABBITMQ_LOGS=-
VOLUME /var/lib/rabbitmq
EXPOSE 5672
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
