"""What people and programs read: the web app and its API, Grafana, reports. They never write samples or KPIs."""
